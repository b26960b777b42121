/* fuzz_nam_answer.c - answers of name servers: the first octet says what was asked, the rest is the
 * message. */
#include "names/answer.h"

#include "fuzz.h"

/* What is kept is within its bounds, and every name is a host's. */
static void
check(const struct nam_answer *answer, enum nam_type type)
{
    struct hd_slice text = hd_slice(answer->text, answer->text_n);

    FUZZ_CHECK(answer->n <= NAM_RECORDS_MAX && answer->text_n <= NAM_TEXT_MAX);
    FUZZ_CHECK((size_t)answer->alias + answer->alias_n <= answer->text_n);
    FUZZ_CHECK(answer->n == 0 || answer->alias_n == 0);
    for (unsigned i = 0; i < answer->n; i++) {
        const struct nam_record *record = &answer->record[i];
        FUZZ_CHECK((size_t)record->name + record->name_n <= answer->text_n);
        FUZZ_CHECK(record->name_n <= NAM_NAME_MAX);
        FUZZ_CHECK((type != NAM_A || record->addr.family == 4) &&
                   (type != NAM_AAAA || record->addr.family == 6));
    }
    for (size_t i = 0; i < text.n; i++)
        FUZZ_CHECK((text.p[i] >= 'a' && text.p[i] <= 'z') ||
                   (text.p[i] >= '0' && text.p[i] <= '9') || text.p[i] == '-' || text.p[i] == '_' ||
                   text.p[i] == '.');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum nam_type types[] = { NAM_A, NAM_AAAA, NAM_SRV, NAM_NAPTR };
    static struct nam_answer answer;

    if (size == 0)
        return 0;
    enum nam_type type = types[data[0] % HD_ARRAY_LEN(types)];
    char *memory;
    struct hd_slice octets = fuzz_copy(data + 1, size - 1, &memory);
    if (nam_answer_read(octets, HD_LIT("h.example"), type, &answer) == HD_OK)
        check(&answer, type);
    free(memory);
    return 0;
}
