/* Words as a shell reads them: an argument vector turned into the text of a command. Pure. */
#ifndef CORCH_QUOTE_H
#define CORCH_QUOTE_H

#include "buf.h"

/* Appends `word` so that a POSIX shell takes it as one word: as it is if it consists of ASCII
 * letters, digits and _/.:=- only, else in single quotes. */
void quote_word(struct buf *b, const char *word);

/* The words (NULL-terminated), quoted, with a blank between them. free() it; NULL: out of memory.
 */
char *quote_words(const char *const *words);

#endif
