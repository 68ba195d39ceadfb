"use strict";

// Keys that are typed in are kept by the open page alone, and nothing is fetched from anywhere else.
SwaggerUIBundle({
  url: "/schema/openapi.json",
  dom_id: "#operations",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: false,
  queryConfigEnabled: false,
  validatorUrl: null,
});
