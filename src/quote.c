/* Owns the quoting of words for the shell. Pure functions, any thread. */
#include "quote.h"

#include <string.h>

void quote_word(struct buf *b, const char *word)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.:=-";
    if (*word && word[strspn(word, plain)] == '\0') {
        buf_addstr(b, word);
        return;
    }
    buf_addch(b, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            buf_addstr(b, "'\\''");
        else
            buf_addch(b, *word);
    }
    buf_addch(b, '\'');
}

char *quote_words(const char *const *words)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; words[i]; i++) {
        if (i > 0)
            buf_addch(&b, ' ');
        quote_word(&b, words[i]);
    }
    return buf_detach(&b);
}
