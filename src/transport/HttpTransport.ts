// What carries one HTTP attempt, and how it reports. Knows no retry, no timeout, no redirect: it sends once and tells what came.
//
// Reports go to a receiver's methods instead of promises: an attempt that is one of many, may be abandoned at any moment and
// mostly ends at once should not cost a promise, an AbortController and their listeners each time.

import type { CommsError } from '../core/errors.ts'

/** Header fields, names in lower case, several of one name joined by a comma. */
export type HttpHeaders = Readonly<Record<string, string>>

/** What a transport can send as it is. Everything else is turned into one of these before (http/body.ts). */
export type HttpBody =
  | string
  | Uint8Array
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array | string>

/** One request, complete: nothing in it is checked or changed any more. */
export interface HttpRequest {
  /** In upper case. */
  readonly method: string
  /** Scheme, host and port: `https://example.com:8443`. */
  readonly origin: string
  /** Path and query, percent-encoded, without fragment: `/v1/models?limit=3`. */
  readonly path: string
  readonly headers: HttpHeaders
  readonly body: HttpBody | undefined
  /** The most bytes of body taken, after decompression. More ends in `RESPONSE_TOO_LARGE`. */
  readonly maxResponseBytes: number
  /** The most bytes of response headers taken. More ends in `HEADERS_TOO_LARGE`. */
  readonly maxHeaderBytes: number
  /** Where the platform follows redirects unseen (`manualRedirects` false): whether it may, or the attempt fails at one. */
  readonly mayFollowUnseen: boolean
  /** Options of the platform's own `fetch` (`cache`, `mode`, ...) for the transport that stands on it. */
  readonly platformInit?: RequestInit | undefined
  /** Told how many bytes of the request body have been handed to the network so far, and how many there are, where it is known. */
  readonly onUploadProgress?: ((sentBytes: number, totalBytes: number | undefined) => void) | undefined
  /** Told how many bytes of the response body have come so far, as they are on the wire, and how many were announced. */
  readonly onDownloadProgress?: ((receivedBytes: number, totalBytes: number | undefined) => void) | undefined
}

/** The answer to one attempt. */
export interface HttpResponse {
  readonly status: number
  /** The reason phrase, where there is one: HTTP/2 has none. */
  readonly statusText?: string | undefined
  readonly headers: HttpHeaders
  /** Where the answer came from, when the platform has followed redirects unseen; else `undefined`. */
  readonly finalUrl: string | undefined
  /** Each `Set-Cookie` by itself: they cannot be joined. Browsers hide them. */
  readonly setCookie: readonly string[] | undefined
  /** Decompressed: whole, or a stream when the receiver asked for one. Bytes may share memory with others: copy to keep. */
  readonly body: Uint8Array | ReadableStream<Uint8Array>
}

/**
 * How a body is wanted: `false`, whole; `true`, as a stream; `'ready'`, whole where all of it came together with the headers, else
 * as a stream, which is always right, too.
 */
export type BodyForm = boolean | 'ready'

/** Who is told about an attempt. Every method is called at most once; after `onResponse` or `onFailure` none is. */
export interface HttpReceiver {
  /** The request is being written: from here on the server may act on it. */
  onSent(): void
  /** The final status and the headers are here. What is answered says how the body is wanted. */
  onHead(status: number, headers: HttpHeaders): BodyForm
  /** The answer is complete, or complete but for its stream. */
  onResponse(response: HttpResponse): void
  /** No answer will come. */
  onFailure(error: CommsError): void
}

/** An attempt under way. */
export interface HttpExchange {
  /**
   * Abandons it: the receiver hears nothing more. A stream that was handed out fails with `reason`. Harmless at any time.
   */
  cancel(reason: unknown): void
}

/** What a transport can do beyond sending and receiving; each module declares its own. What is missing is listed in docs/transports.md. */
export interface HttpTransportCapabilities {
  /** `onSent` comes when the request is written, so that a failure before it cannot have reached the server. */
  readonly tellsSent: boolean
  /** A limit of its own for connecting. */
  readonly connectTimeout: boolean
  /** Answers with a redirect status are handed over; otherwise the platform follows them unseen. */
  readonly manualRedirects: boolean
  /** Oversized headers are refused while they come in, not after. */
  readonly boundedHeaders: boolean
  /** Content-encodings are undone by the transport, which knows how many there are and whether the body is whole. */
  readonly boundedEncodings: boolean
  /** Request bodies that are streams. */
  readonly uploadStreams: boolean
  readonly uploadProgress: boolean
  /** `Set-Cookie` can be read. */
  readonly cookies: boolean
  /** Takes a dispatcher of undici's; others may take a `fetch`. */
  readonly dispatchers: boolean
  /** Everything it holds open goes with `dispose`, idle connections included. */
  readonly ownsConnections: boolean
}

/** Carries HTTP attempts. */
export interface HttpTransport {
  /** The `Accept-Encoding` that servers are to be asked for; `undefined` where the platform asks by itself. */
  readonly acceptEncoding: string | undefined
  /** The `User-Agent` to send unless the caller says another; `undefined` where the platform sends its own. */
  readonly userAgent?: string | undefined
  /** Starts an attempt. Reports even of a failure to start come later, never from within this call. */
  send(request: HttpRequest, receiver: HttpReceiver): HttpExchange
  /** Bytes as text, the platform's fastest way; a byte order mark is dropped, wrong bytes become U+FFFD. */
  decodeText(bytes: Uint8Array): string
  /** Gives up connections that it keeps. Attempts under way fail. */
  dispose(): void
}

/** Settings that transports are made with. */
export interface HttpTransportOptions {
  /** How long connecting may take, in milliseconds. */
  connectTimeout: number
  /** As in every request; where the parser has a limit of its own it is set to this. */
  maxHeaderBytes: number
  /** undici's own Dispatcher to send with (Agent, ProxyAgent, MockAgent, ...), Node only. It stays the caller's: `dispose` leaves it alone. */
  dispatcher?: unknown
  /** A function to use instead of the global `fetch`, fetch transport only. */
  fetch?: typeof globalThis.fetch | undefined
  /** Whether browsers send cookies, fetch transport only. Default: to the page's own origin. */
  credentials?: 'omit' | 'same-origin' | 'include' | undefined
}

/** At most this many content-encodings are undone: thousands of them are an attack (undici CVE-2026-22036). */
export const MAX_CONTENT_ENCODINGS = 5
