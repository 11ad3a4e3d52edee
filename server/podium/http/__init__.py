"""The parts that all HTTP endpoints share: keys, bodies, parameters, errors, routes, the API document."""
