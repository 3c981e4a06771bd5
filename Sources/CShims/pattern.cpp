// See pattern.h.
#include "include/pattern.h"
#include <cstdio>
#include <re2/re2.h>

struct sluice_pattern {
    RE2 expression;
};

sluice_pattern *sluice_pattern_create(
    const uint8_t *text, size_t count, bool folds_case, bool is_bytes, int64_t memory_max) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_case_sensitive(!folds_case);
    options.set_encoding(is_bytes ? RE2::Options::EncodingLatin1 : RE2::Options::EncodingUTF8);
    options.set_max_mem(memory_max);
    return new sluice_pattern{RE2(re2::StringPiece(reinterpret_cast<const char *>(text), count), options)};
}

void sluice_pattern_free(sluice_pattern *pattern) { delete pattern; }

bool sluice_pattern_error(const sluice_pattern *pattern, char *reason, size_t room) {
    if (pattern->expression.ok()) return false;
    snprintf(reason, room, "%s", pattern->expression.error().c_str());
    return true;
}

int sluice_pattern_size(const sluice_pattern *pattern) { return pattern->expression.ProgramSize(); }

bool sluice_pattern_find(
    const sluice_pattern *pattern, const uint8_t *text, size_t count, size_t from, sluice_pattern_range *range) {
    if (from > count) return false;
    const char *start = reinterpret_cast<const char *>(text);
    re2::StringPiece whole(start, count), found;
    if (!pattern->expression.Match(whole, from, count, RE2::UNANCHORED, range ? &found : nullptr, range ? 1 : 0))
        return false;
    if (range) {
        range->start = static_cast<size_t>(found.data() - start);
        range->end = range->start + found.size();
    }
    return true;
}
