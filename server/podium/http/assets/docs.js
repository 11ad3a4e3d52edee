// Shows /openapi.json with Swagger UI.
fetch("/openapi.json")
  .then((response) => response.json())
  .then((spec) => {
    window.SwaggerUIBundle({
      // This Swagger UI (4.15) shows 3.1 schemas but refuses the version number.
      spec: { ...spec, openapi: "3.0.3" },
      dom_id: "#docs",
      deepLinking: true,
      docExpansion: "list",
      defaultModelsExpandDepth: 0,
      // A key stays in this page: kept by the browser, every script of this origin could read it.
      persistAuthorization: false,
      validatorUrl: null,
    });
  })
  .catch((error) => {
    document.getElementById("docs").textContent = `The API document could not be loaded: ${error}`;
  });
