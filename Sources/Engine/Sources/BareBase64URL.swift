// Base 64 for URLs without padding (RFC 4648, section 5), as JWTs have it.

import FastPath

extension TextEncoding {
    static func bareBase64URL(_ bytes: [UInt8]) -> String {
        let text = base64(bytes).map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }
        return String(text.prefix(while: { $0 != "=" }))
    }
}
