// What the files of an endpoint's TLS hold, read by worker threads: at a start, a reload or an edit.
//
// Invariant: messages name a file by its last part; what is in it is never shown.

import FastPath

extension EndpointTLS {
    /// Looks into the files; one that cannot be read is told of when it is used.
    package mutating func noteContents() { contents = PEMFile.digest(File.allCases.map { path($0) }) }

    /// Nil when there is no such file in the settings.
    private func read(_ file: File) throws(EndpointTLSError) -> [UInt8]? {
        guard let path = path(file) else { return nil }
        do throws(PEMFileError) { return try PEMFile.read(path) } catch {
            throw EndpointTLSError(file: file, message: error.message)
        }
    }

    /// What the files hold, as a context takes it.
    package func settings() throws(EndpointTLSError) -> TLSClientSettings {
        var settings = TLSClientSettings(authorities: try read(.ca), revoked: try read(.crl))
        switch (try read(.certificate), try read(.key)) {
        case (let chain?, let key?): settings.identity = TLSIdentity(chain: chain, key: key)
        // One file may hold both.
        case (let both?, nil): settings.identity = TLSIdentity(chain: both, key: both)
        case (nil, _): break
        }
        return settings
    }
    /// In the words of this endpoint's files.
    package func problem(_ error: TLSSettingsError) -> EndpointTLSError {
        switch error {
        case .unusable(let why): return EndpointTLSError(file: nil, message: why)
        case .part(let part, let reason):
            let file: File? =
                switch part {
                case .authorities: .ca
                case .certificate: .certificate
                case .key: key == nil ? .certificate : .key
                case .revoked: .crl
                case .system: nil
                }
            let name = file.flatMap { path($0) }.map { "`\(PEMFile.name($0))` " } ?? ""
            return EndpointTLSError(file: file, message: name + reason)
        }
    }
}

/// What is wrong with one of the files; nil when it is none of them.
package struct EndpointTLSError: Error, Equatable, Sendable {
    package let file: EndpointTLS.File?
    package let message: String
}
