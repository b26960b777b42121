/* lab_dns.h - the laboratory's own name servers: what a scenario's "dns" steps say, as octets of
 * the wire, on the fake clock. */
#ifndef TEST_LAB_DNS_H
#define TEST_LAB_DNS_H

#include "lab_core.h"

/** Asks; the answer is due at once, but for names that are silent. */
enum hd_err lab_dns_query(void *seat, const char *name, enum nam_type type, uint64_t ticket);
extern const struct nam_dns_ops lab_dns_ops;
/** Hands out the answers that are due for a shard; true: there were some. */
bool lab_dns_deliver(struct lab_seat *seat);
/** When the next one is due, UINT64_MAX: none. */
uint64_t lab_dns_due_us(const struct lab *lab);
/** A step "dns ...". */
enum hd_err lab_dns_command(struct lab *lab, const struct hd_slice *words, unsigned n,
                            char *problem);
/** Nobody waits for the questions under way any more. */
void lab_dns_forget(struct lab *lab);
void lab_dns_done(struct lab *lab);

#endif
