// HTTP in Node: undici's Dispatcher with a handler of our own. Node's `fetch` stands on the same engine; what it adds is left out here.

import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import { CommsError, fenced } from '../core/errors.ts'
import { USER_AGENT } from '../core/version.ts'
import type {
  HttpExchange,
  HttpReceiver,
  HttpRequest,
  HttpTransport,
  HttpTransportCapabilities,
  HttpTransportOptions,
} from './HttpTransport.ts'
import { announcedLength, isStreamed, Upload, withoutLength } from './httpUpload.ts'
import { ACCEPT_ENCODING } from './undiciDecoding.ts'
import { UndiciExchange } from './undiciExchange.ts'

class UndiciTransport implements HttpTransport {
  readonly acceptEncoding = ACCEPT_ENCODING
  readonly userAgent = USER_AGENT
  readonly #options: HttpTransportOptions
  /** Made at the first request: a client that is only configured holds no agent. */
  #dispatcher: Dispatcher | undefined
  #disposed = false

  constructor(options: HttpTransportOptions) {
    this.#options = options
    this.#dispatcher = options.dispatcher as Dispatcher | undefined
  }

  send(request: HttpRequest, receiver: HttpReceiver): HttpExchange {
    const { body, headers } = request
    const upload = isStreamed(body) ? new Upload(body, announcedLength(headers)) : undefined
    const exchange = new UndiciExchange(request, receiver, upload, this.#options.connectTimeout)
    if (this.#disposed) {
      exchange.onResponseError(null, new CommsError('the transport has been disposed', { code: 'DISPOSED' }))
      return exchange
    }
    this.#dispatcher ??= this.#makeAgent()
    const dispatcher = this.#dispatcher
    const dispatch = () =>
      dispatcher.dispatch(
        {
          origin: request.origin,
          path: request.path,
          method: request.method,
          headers: upload ? headers : withoutLength(headers),
          // An async iterable and a Blob are among what undici takes, if not among what its types say.
          body: (upload ?? body ?? null) as string | Uint8Array | null,
          // Limits of time are the client's; a stream may well be silent for longer than undici's five minutes.
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        exchange,
      )
    // One of another undici knows no handlers of ours.
    fenced('dispatcher.dispatch', dispatch)
    exchange.started()
    return exchange
  }

  decodeText(bytes: Uint8Array): string {
    // Buffer's own decoder is several times cheaper than TextDecoder for short texts; the byte order mark is ours to drop.
    const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
    if (Buffer.isBuffer(bytes)) return bytes.toString('utf8', start)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', start)
  }

  dispose(): void {
    this.#disposed = true
    if (this.#options.dispatcher === undefined) this.#dispatcher?.destroy().catch(() => {})
    this.#dispatcher = undefined
  }

  #makeAgent(): Dispatcher {
    const { connectTimeout, maxHeaderBytes } = this.#options
    const Kind = usesEnvProxy() ? EnvHttpProxyAgent : Agent
    return new Kind({
      // undici knows no Infinity: 0 is its word for it.
      connect: { timeout: connectTimeout === Number.POSITIVE_INFINITY ? 0 : connectTimeout },
      maxHeaderSize: Math.min(maxHeaderBytes, 2 ** 30),
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }
}

/** Whether Node's own fetch would go through the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name. */
function usesEnvProxy(): boolean {
  const { NODE_USE_ENV_PROXY, NODE_OPTIONS = '' } = process.env
  const flags = [...process.execArgv, ...NODE_OPTIONS.split(' ')]
  return NODE_USE_ENV_PROXY === '1' || flags.includes('--use-env-proxy')
}

/** With a dispatcher of the caller's, connecting, limits of headers and closing are its own affair. */
export const capabilities: HttpTransportCapabilities = {
  tellsSent: true,
  connectTimeout: true,
  manualRedirects: true,
  boundedHeaders: true,
  boundedEncodings: true,
  uploadStreams: true,
  uploadProgress: true,
  cookies: true,
  dispatchers: true,
  ownsConnections: true,
}

/** Makes the transport of this platform: undici. */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  return new UndiciTransport(options)
}
