// Regular expressions of RE2: their time is linear in the text, whatever the expression.
#ifndef SLUICE_PATTERN_H
#define SLUICE_PATTERN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sluice_pattern sluice_pattern;
typedef struct { size_t start, end; } sluice_pattern_range;

#ifdef __cplusplus
extern "C" {
#endif
// Never NULL. `memory_max`: bytes that the compiled form and its caches may take. With `is_bytes` a character is a
// byte, else the text is UTF-8.
sluice_pattern *sluice_pattern_create(
    const uint8_t *text, size_t count, bool folds_case, bool is_bytes, int64_t memory_max);
void sluice_pattern_free(sluice_pattern *pattern);
// The reason why it is of no use, NUL-terminated, of at most `room` bytes with the NUL; false when it is sound.
bool sluice_pattern_error(const sluice_pattern *pattern, char *reason, size_t room);
// The size of the compiled form, in instructions.
int sluice_pattern_size(const sluice_pattern *pattern);
// The leftmost match that begins at `from` or behind it; false when there is none. `range` may be NULL, which is
// faster. Any number of threads at once.
bool sluice_pattern_find(
    const sluice_pattern *pattern, const uint8_t *text, size_t count, size_t from, sluice_pattern_range *range);
#ifdef __cplusplus
}
#endif
#endif
