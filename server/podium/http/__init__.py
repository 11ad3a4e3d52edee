"""What all HTTP endpoints share: keys, bodies, parameters, errors, routes, the API document."""
