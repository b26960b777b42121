/* bytes.h - records of numbers and runs of octets in a buffer, for what is stored and what is sent
 * between nodes. Numbers are little-endian of fixed width; a slice is its length in 32 bits and its
 * octets; an address is its family (1 octet: 0, 4 or 6), port (2), zone (4) and 0, 4 or 16 octets.
 * No alignment, no tags: the order is the format. Thread: any.  Memory: of the caller.  Both
 * cursors remember their first error; the caller asks once. */
#ifndef HD_BASE_BYTES_H
#define HD_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/slice.h"

struct hd_bytes_out {
    char *p;
    size_t cap;
    size_t n; /* octets put, also those that did not fit */
    enum hd_err err;
};

/** Writes into memory of the caller; memory NULL with cap 0 only counts. */
void hd_bytes_out_init(struct hd_bytes_out *out, void *memory, size_t cap);
void hd_bytes_put_u8(struct hd_bytes_out *out, uint8_t value);
void hd_bytes_put_u16(struct hd_bytes_out *out, uint16_t value);
void hd_bytes_put_u32(struct hd_bytes_out *out, uint32_t value);
void hd_bytes_put_u64(struct hd_bytes_out *out, uint64_t value);
/** The octets alone, for fields of fixed length / with their length before them. */
void hd_bytes_put_raw(struct hd_bytes_out *out, const void *octets, size_t n);
void hd_bytes_put_slice(struct hd_bytes_out *out, struct hd_slice s);
void hd_bytes_put_addr(struct hd_bytes_out *out, const struct hd_addr *addr);
/** What was written, as a slice of the memory.  HD_ENOSPC: it did not fit, out->n says how much is
 * needed; HD_ERANGE: a slice above 2^32 - 1 octets. */
HD_NODISCARD enum hd_err hd_bytes_out_finish(const struct hd_bytes_out *out,
                                             struct hd_slice *ret_record);

struct hd_bytes_in {
    const char *p;
    size_t left; /* octets not yet read; 0 after an error */
    enum hd_err err;
};

/** Reads a record, which must outlive the cursor and the slices taken from it. */
void hd_bytes_in_init(struct hd_bytes_in *in, struct hd_slice record);
/** The next number, 0 after an error: HD_ESYNTAX when the record is too short. */
uint8_t hd_bytes_get_u8(struct hd_bytes_in *in);
uint16_t hd_bytes_get_u16(struct hd_bytes_in *in);
uint32_t hd_bytes_get_u32(struct hd_bytes_in *in);
uint64_t hd_bytes_get_u64(struct hd_bytes_in *in);
/** The next n octets, borrowed / copied to ret, which is zeroed after an error. */
struct hd_slice hd_bytes_get_raw(struct hd_bytes_in *in, size_t n);
void hd_bytes_copy_raw(struct hd_bytes_in *in, void *ret, size_t n);
/** The next slice, borrowed from the record; empty after an error. */
struct hd_slice hd_bytes_get_slice(struct hd_bytes_in *in);
/** The next address, family 0 after an error; HD_ESYNTAX also for another family. */
struct hd_addr hd_bytes_get_addr(struct hd_bytes_in *in);
/** For what a reader finds wrong with a value itself: remembered when it is the first error. */
void hd_bytes_in_fail(struct hd_bytes_in *in, enum hd_err err);
/** The first error; HD_ESYNTAX also when octets are left over. */
HD_NODISCARD enum hd_err hd_bytes_in_end(const struct hd_bytes_in *in);
/** The first error, whatever is left: for records to which a newer version of the format may
 * append. */
HD_NODISCARD enum hd_err hd_bytes_in_err(const struct hd_bytes_in *in);

#endif
