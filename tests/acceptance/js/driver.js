// Drives the published SDK from a test: commands come as objects, whatever happens goes out as events.
// The same in Node and in a page, where it is a plain script beside the SDK's bundle.
"use strict";

globalThis.makeDriver = function (Centrifuge, emit, options) {
  let client;
  const subscriptions = new Map();

  const commands = {
    // tokens: those given out when the SDK asks for a new one, in order; the last one stays.
    connect({ url, token, tokens = [] }) {
      const getToken = async () => {
        emit({ event: "asked" });
        return tokens.length > 1 ? tokens.shift() : tokens[0];
      };
      client = new Centrifuge(url, {
        ...options,
        token,
        minReconnectDelay: 50,
        maxReconnectDelay: 500,
        getToken: tokens.length ? getToken : null,
      });
      client.on("connected", () => emit({ event: "connected" }));
      client.on("connecting", ({ code }) => emit({ event: "connecting", code }));
      client.on("disconnected", ({ code }) => emit({ event: "disconnected", code }));
      client.connect();
    },
    subscribe({ channel, data }) {
      const subscription = client.newSubscription(channel, { data });
      subscriptions.set(channel, subscription);
      subscription.on("subscribed", (ctx) => emit({ event: "subscribed", channel, data: ctx.data }));
      subscription.on("publication", (ctx) => emit({ event: "publication", channel, data: ctx.data }));
      subscription.on("unsubscribed", ({ code }) => emit({ event: "unsubscribed", channel, code }));
      subscription.subscribe();
    },
    rpc({ method, data }) {
      client.rpc(method, data).then(
        (answer) => emit({ event: "answer", data: answer.data }),
        ({ code, message }) => emit({ event: "refused", code, message }),
      );
    },
    disconnect() {
      client.disconnect();
    },
  };

  return ({ command, ...rest }) => commands[command](rest);
};
