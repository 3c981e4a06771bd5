// The body of scan.h. The intrinsics stay in this file: their headers do not survive in a Clang module.
#include "scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>

void sluice_json_classify(const uint8_t *bytes, struct sluice_json_masks *masks) {
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), fold = _mm_set1_epi8(0x20);
    const __m128i open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}');
    uint64_t quotes = 0, backslashes = 0, opens = 0, closes = 0;
    for (int part = 0; part < 4; part++) {
        const __m128i block = _mm_loadu_si128((const __m128i *)(bytes + 16 * part));
        // '[' and ']' become '{' and '}' with bit 0x20 set; nothing else does.
        const __m128i folded = _mm_or_si128(block, fold);
        quotes |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(block, quote)) << (16 * part);
        backslashes |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(block, backslash)) << (16 * part);
        opens |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(folded, open)) << (16 * part);
        closes |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(folded, close)) << (16 * part);
    }
    masks->quotes = quotes;
    masks->backslashes = backslashes;
    masks->opens = opens;
    masks->closes = closes;
}
#else
void sluice_json_classify(const uint8_t *bytes, struct sluice_json_masks *masks) {
    uint64_t quotes = 0, backslashes = 0, opens = 0, closes = 0;
    for (int i = 0; i < 64; i++) {
        const uint8_t byte = bytes[i], folded = byte | 0x20;
        quotes |= (uint64_t)(byte == '"') << i;
        backslashes |= (uint64_t)(byte == '\\') << i;
        opens |= (uint64_t)(folded == '{') << i;
        closes |= (uint64_t)(folded == '}') << i;
    }
    masks->quotes = quotes;
    masks->backslashes = backslashes;
    masks->opens = opens;
    masks->closes = closes;
}
#endif
