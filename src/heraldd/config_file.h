/* config_file.h - from the text of a configuration file to the fields of struct hd_conf; used by
 * config.c alone. */
#ifndef HD_HERALDD_CONFIG_FILE_H
#define HD_HERALDD_CONFIG_FILE_H

#include "base/arena.h"
#include "heraldd/config.h"

/**
 * Fills conf, which holds the defaults, from a file.  Strings and arrays come from the arena.
 * @return HD_OK; HD_ESYNTAX: told; HD_ENOSPC: the arena is too small; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_conf_file_read(struct hd_slice text, hd_conf_ops_f ops_of,
                                           struct hd_arena *arena, struct hd_problems *problems,
                                           struct hd_conf *conf);

/** "udp://127.0.0.1:5060", "tls://[::1]" (port 5061), "udp://:5060" (every IPv4 address).
 * HD_ESYNTAX, with what is wrong in ret_why (static). */
HD_NODISCARD enum hd_err hd_conf_address(struct hd_slice text, enum hd_transport *ret_transport,
                                         struct hd_addr *ret_addr, const char **ret_why);

#endif
