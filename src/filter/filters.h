/* filters.h - the filter port of one shard: compiled filters by their text, and readings of
 * documents. Thread: its shard's. */
#ifndef HD_FILTER_FILTERS_H
#define HD_FILTER_FILTERS_H

#include "event/ports.h"

struct flt_filters;
/** NULL: memory is short. */
struct flt_filters *flt_filters_new(void);
/** When no filter of it is referred to any more; accepts NULL. */
void flt_filters_free(struct flt_filters *filters);
/** The port; its context is a struct flt_filters. */
const struct evt_filter_ops *flt_filter_ops(void);
/** Whether conditions in words can be kept, for configurations: HD_OK; HD_ESYNTAX with one line,
 * static, and where; HD_ENOMEM. */
HD_NODISCARD enum hd_err flt_check_when(struct hd_slice text, const char **ret_reason,
                                        size_t *ret_at);

#endif
