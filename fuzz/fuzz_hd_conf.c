/* fuzz_hd_conf.c - configuration files: whatever they hold, they are read or refused with a line,
 * and what is read is within its bounds. Our own scan stands in front of libconfuse; a crash of
 * either is found here. */
#include "fuzz.h"

#include "heraldd/config.h"
#include "package/pkg.h"

static void
take_line(void *context, const char *line)
{
    unsigned *lines = context;

    (*lines)++;
    FUZZ_CHECK(line[0] != '\0');
    for (; *line; line++)
        FUZZ_CHECK((unsigned char)*line >= 0x20);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned lines = 0;
    struct hd_problems problems = { .file = "x", .tell = take_line, .context = &lines };
    struct hd_conf *conf = NULL;
    enum hd_err err;
    char *copy;
    const struct hd_slice text = fuzz_copy(data, size, &copy);

    err = hd_conf_parse(text, pkg_ops, &problems, &conf);
    free(copy);
    if (err) {
        FUZZ_CHECK(err == HD_ENOMEM || lines > 0);
        return 0;
    }
    FUZZ_CHECK(lines == 0 && conf->n_listeners > 0 && conf->n_listeners <= HD_CONF_LISTENERS);
    for (size_t i = 0; i < conf->n_packages; i++) {
        const struct evt_package *p = conf->packages[i];

        FUZZ_CHECK(p->name.n > 0 && p->n_types > 0 && p->ops);
        FUZZ_CHECK(p->min_expires_s > 0 && p->min_expires_s <= p->default_expires_s &&
                   p->default_expires_s <= p->max_expires_s);
    }
    FUZZ_CHECK(conf->n_algorithms > 0);
    hd_conf_unref(conf);
    return 0;
}
