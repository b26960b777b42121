/* openapi_test.c - the page says what the routes are: each route and method, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/openapi.h"
#include "http/route.h"

static const struct {
    const char *word;
    unsigned method;
} words[] = { { "get", API_GET },
              { "put", API_PUT },
              { "patch", API_PATCH },
              { "delete", API_DELETE },
              { "post", API_POST } };

static void
every_route_and_method_is_there_and_no_other(void **state)
{
    json_t *page = api_openapi(), *paths;
    size_t n_routes;
    const struct api_route *routes = api_routes(&n_routes);

    (void)state;
    assert_non_null(page);
    paths = json_object_get(page, "paths");
    assert_int_equal(json_object_size(paths), n_routes);
    for (size_t i = 0; i < n_routes; i++) {
        json_t *path = json_object_get(paths, routes[i].path);
        size_t n = 0;
        assert_non_null(path);
        for (size_t k = 0; k < HD_ARRAY_LEN(words); k++) {
            const bool has = routes[i].methods & words[k].method;
            if (has != (json_object_get(path, words[k].word) != NULL))
                print_error("%s %s\n", words[k].word, routes[i].path);
            assert_int_equal(has, json_object_get(path, words[k].word) != NULL);
            n += has;
        }
        assert_int_equal(json_object_size(path), n);
    }
    json_decref(page);
}

/* What stands in braces is a parameter of each operation; each has answers. */
static void
parameters_of_paths_are_named(void **state)
{
    json_t *page = api_openapi(), *path, *operation, *param;
    const char *name, *method;
    size_t i;

    (void)state;
    json_object_foreach(json_object_get(page, "paths"), name, path)
    {
        json_object_foreach(path, method, operation)
        {
            json_array_foreach(json_object_get(operation, "parameters"), i, param)
            {
                char braced[64];
                if (strcmp(json_string_value(json_object_get(param, "in")), "path") != 0)
                    continue;
                (void)snprintf(braced, sizeof(braced), "{%s}",
                               json_string_value(json_object_get(param, "name")));
                assert_non_null(strstr(name, braced));
            }
            assert_non_null(json_object_get(json_object_get(operation, "responses"),
                                            strcmp(method, "delete") == 0 ? "204" : "200"));
        }
    }
    json_decref(page);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_and_method_is_there_and_no_other),
        cmocka_unit_test(parameters_of_paths_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
