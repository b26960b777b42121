/* openapi.h - the description of the HTTP face for programs (OpenAPI 3.1).
 * Pure; any thread. */
#ifndef HD_HTTP_OPENAPI_H
#define HD_HTTP_OPENAPI_H

#include <jansson.h>

/** The whole document; NULL: memory is short. */
json_t *api_openapi(void);

#endif
