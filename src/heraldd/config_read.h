/* config_read.h - values of a configuration file, each read, bounded and refused in one way; used
 * by the parts of config_file.c alone.  Wrong values are told and do not end the reading. */
#ifndef HD_HERALDD_CONFIG_READ_H
#define HD_HERALDD_CONFIG_READ_H

#include <confuse.h>

#include "base/arena.h"
#include "heraldd/config.h"
#include "heraldd/config_unit.h"
#include "heraldd/scan.h"

/* One value of the file. */
struct hd_value {
    unsigned line;
    size_t n;
    char text[];
};

struct hd_reader {
    struct hd_conf *conf;
    struct hd_arena *arena;
    struct hd_problems *problems;
    hd_conf_ops_f ops_of;
    struct hd_scan scan;
    cfg_t *root;
    bool no_space;
};

/** The value of a key, NULL when it is not there (or sec is NULL) / its text. */
const struct hd_value *hd_read_value(cfg_t *sec, const char *key);
struct hd_slice hd_value_slice(const struct hd_value *value);
/** A copy / the same with a NUL behind it, NULL when there is no room / room for n elements, all
 * zero. */
struct hd_slice hd_read_keep(struct hd_reader *r, struct hd_slice text);
const char *hd_read_keep_text(struct hd_reader *r, struct hd_slice text);
void *hd_read_room(struct hd_reader *r, size_t n, size_t size);
/** Sets *number when the key is there and within min and max. */
void hd_read_number(struct hd_reader *r, cfg_t *sec, const char *key, enum hd_conf_unit unit,
                    uint64_t min, uint64_t max, uint32_t *number);
/** Finds a value among words; returns its index, or otherwise what was there. */
int hd_read_word(struct hd_reader *r, cfg_t *sec, const char *key, const char *const *words,
                 size_t n, int otherwise);
bool hd_read_bool(struct hd_reader *r, cfg_t *sec, const char *key, bool otherwise);
/** One line of text of at most max octets. */
void hd_read_text(struct hd_reader *r, cfg_t *sec, const char *key, size_t max,
                  struct hd_slice *text);
/** The path of a file, with a NUL behind it; NULL stays when the key is not there. */
void hd_read_path(struct hd_reader *r, cfg_t *sec, const char *key, const char **path);
/** Calls check for each element of a list; what passes is kept.  False: it was told. */
typedef bool (*hd_check_f)(struct hd_reader *r, const char *key, const struct hd_value *value);
void hd_read_list(struct hd_reader *r, cfg_t *sec, const char *key, hd_check_f check,
                  const struct hd_slice **list, size_t *n);
/** A host name in lower case, or an address. */
bool hd_check_domain(struct hd_reader *r, const char *key, const struct hd_value *value);

/** The name of a user. */
bool hd_check_name(struct hd_reader *r, const char *key, const struct hd_value *value);
/** min_expires, default_expires and max_expires of a section; each is bounded by itself, then their
 * order is looked at. */
void hd_read_expires(struct hd_reader *r, cfg_t *sec, const char *what, unsigned line,
                     uint32_t *min, uint32_t *usual, uint32_t *max);

/* The package sections (config_package.c), and whether a name can be one of theirs. */
extern const char *const hd_package_keys[], *const hd_package_lists[];
extern const size_t hd_n_package_keys, hd_n_package_lists;
void hd_read_packages(struct hd_reader *r);
bool hd_package_name_ok(struct hd_slice name);

/* The listen sections and the tls section (config_listen.c). */
extern const char *const hd_listen_keys[], *const hd_listen_lists[], *const hd_tls_keys[];
extern const size_t hd_n_listen_keys, hd_n_listen_lists, hd_n_tls_keys;
/** What browsers call a page's origin. */
bool hd_check_origin(struct hd_reader *r, const char *key, const struct hd_value *value);
/* The http section (config_http.c). */
extern const char *const hd_http_keys[], *const hd_http_lists[];
extern const size_t hd_n_http_keys, hd_n_http_lists;
void hd_read_http(struct hd_reader *r);
void hd_read_listeners(struct hd_reader *r);
void hd_read_next_hops(struct hd_reader *r);
void hd_read_tls(struct hd_reader *r);

#endif
