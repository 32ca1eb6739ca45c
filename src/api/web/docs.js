// docs.js: starts Swagger UI; a file of its own because the pages allow no script inside them.
SwaggerUIBundle({
	url: 'openapi.json',
	dom_id: '#docs',
	deepLinking: true,
	displayRequestDuration: true,
	tryItOutEnabled: true,
	validatorUrl: null, // asks nobody else
});
