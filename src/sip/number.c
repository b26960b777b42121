/* number.c - telephone numbers as names.
 *
 * One number has many spellings: visual separators, escapes in the user part of a SIP URI, letters
 * in either case, parameters in any order.  Who compares names compares what is written here, so
 * that another spelling makes nobody somebody else, and an extension is not taken for the line that
 * it hangs off. */
#include "sip/number.h"

#include "sip/chars.h"

/* The first octet of a text, escapes undone; the text is moved behind it. */
static char
octet_take(struct hd_slice *text)
{
    char c = text->p[0];
    size_t n = 1;

    if (c == '%' && text->n >= 3 && sip_is(text->p[1], SIP_C_HEX) &&
        sip_is(text->p[2], SIP_C_HEX)) {
        c = (char)(hd_hex_digit(text->p[1]) * 16 + hd_hex_digit(text->p[2]));
        n = 3;
    }
    *text = hd_slice_from(*text, n);
    return c;
}

/* visual-separator  =  "-" / "." / "(" / ")" */
static bool
is_separator(char c)
{
    return c == '-' || c == '.' || c == '(' || c == ')';
}

static bool
is_global(struct hd_slice digits)
{
    return digits.n > 0 && octet_take(&digits) == '+';
}

/* global-number-digits  =  "+" *phonedigit DIGIT *phonedigit
 * local-number-digits   =  *phonedigit-hex ( HEXDIG / "*" / "#" ) *phonedigit-hex */
static bool
digits_valid(struct hd_slice text)
{
    bool first = true, some = false;

    while (text.n) {
        const char c = octet_take(&text);
        if (!sip_is(c, SIP_C_TEL) || (c == '+' && !first))
            return false;
        some = some || (!is_separator(c) && c != '+');
        first = false;
    }
    return some;
}

bool
sip_number_read(struct hd_slice subscriber, struct sip_number *ret_number)
{
    struct sip_number number = { .digits = hd_slice_cut(&subscriber, ';') };

    if (!digits_valid(number.digits))
        return false;
    while (subscriber.n) {
        struct hd_slice value = hd_slice_cut(&subscriber, ';');
        const struct hd_slice name = hd_slice_cut(&value, '=');
        struct hd_slice *place = NULL;
        if (sip_word(name, "isub"))
            place = &number.isub;
        else if (sip_word(name, "ext"))
            place = &number.ext;
        else if (sip_word(name, "phone-context"))
            place = &number.context;
        if (place && place->p)
            return false;
        if (place)
            *place = value;
    }
    if (is_global(number.digits))
        number.context = hd_slice(NULL, 0);
    *ret_number = number;
    return true;
}

/* descriptor  =  domainname / global-number-digits */
struct hd_slice
sip_number_domain(const struct sip_number *number)
{
    const struct hd_slice context = number->context;
    const bool name = context.n && sip_host_span(context.p, sip_end(context)) == context.n;

    return name ? context : hd_slice(NULL, 0);
}

static void
octet_write(struct sip_out *out, char c)
{
    static const char hex[] = "0123456789ABCDEF";

    c = sip_lower(c);
    if (sip_is_plain(c)) {
        sip_out_char(out, c);
        return;
    }
    sip_out_char(out, '%');
    sip_out_char(out, hex[((uint8_t)c >> 4) & 15]);
    sip_out_char(out, hex[(uint8_t)c & 15]);
}

static void
digits_write(struct sip_out *out, struct hd_slice digits)
{
    while (digits.n) {
        const char c = octet_take(&digits);
        if (!is_separator(c))
            octet_write(out, c);
    }
}

static void
text_write(struct sip_out *out, struct hd_slice text)
{
    while (text.n)
        octet_write(out, octet_take(&text));
}

void
sip_number_write(struct sip_out *out, const struct sip_number *number, struct hd_slice host)
{
    digits_write(out, number->digits);
    if (number->isub.n) {
        sip_out_lit(out, ";isub=");
        text_write(out, number->isub);
    }
    if (number->ext.n) {
        sip_out_lit(out, ";ext=");
        digits_write(out, number->ext);
    }
    if (number->context.n && !hd_slice_ieq(number->context, host)) {
        sip_out_lit(out, ";phone-context=");
        if (is_global(number->context))
            digits_write(out, number->context);
        else
            text_write(out, number->context);
    }
}
