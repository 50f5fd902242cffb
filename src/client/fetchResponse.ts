// The Response that `client.fetch` resolves to. The platform's constructor cannot make one that came from a server: it knows no
// url, no type, no status beyond 599, and a body that is all there would not notice that the caller has aborted.

/** What a server's answer has beyond body and headers. */
export interface ResponseFacts {
  readonly status: number
  readonly statusText: string
  readonly url: string
  readonly redirected: boolean
  readonly type: ResponseType
  /** The caller's. A body that has not been read when it aborts cannot be read any more. */
  readonly signal: AbortSignal | undefined
}

type Body = Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> | null

/** RFC 9112 4: what the platform takes for a reason phrase. */
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/

export class FetchResponse extends Response {
  readonly #facts: ResponseFacts
  /** A body that is a stream is guarded, and notices by itself. */
  readonly #isWhole: boolean

  static {
    // The platform's are accessors, which the compiler takes for fields; its constructor asks some of them of an object that
    // has no facts yet.
    const define = (name: keyof Response, get: (response: FetchResponse) => unknown) =>
      Object.defineProperty(FetchResponse.prototype, name, {
        get(this: FetchResponse) {
          return #facts in this ? get(this) : Reflect.get(Response.prototype, name, this)
        },
        enumerable: true,
        configurable: true,
      })
    for (const name of ['status', 'statusText', 'url', 'redirected', 'type'] as const)
      define(name, (response) => response.#facts[name])
    define('ok', ({ status }) => status >= 200 && status < 300)
    define('body', (response) =>
      response.#aborted
        ? failed(response.#facts.signal?.reason)
        : Reflect.get(Response.prototype, 'body', response),
    )
    Object.defineProperty(FetchResponse, 'name', { value: 'Response' })
  }

  constructor(body: Body, headers: [string, string][] | Headers, facts: ResponseFacts) {
    const { status, statusText } = facts
    // Whatever looks at the platform's own fields (a server that passes it on) shall find the same there, as far as they go.
    super(body, {
      headers,
      status: status >= 200 && status <= 599 ? status : 200,
      statusText: REASON.test(statusText) ? statusText : '',
    })
    this.#facts = facts
    this.#isWhole = body instanceof Uint8Array && body.byteLength > 0
  }

  get #aborted(): boolean {
    return this.#isWhole && this.#facts.signal?.aborted === true && !this.bodyUsed
  }

  override clone(): Response {
    const copy = super.clone()
    return new FetchResponse(copy.body, copy.headers, this.#facts)
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    return this.#aborted ? this.#reject() : super.arrayBuffer()
  }

  override blob(): Promise<Blob> {
    return this.#aborted ? this.#reject() : super.blob()
  }

  override bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#aborted ? this.#reject() : super.bytes()
  }

  override formData(): Promise<FormData> {
    return this.#aborted ? this.#reject() : super.formData()
  }

  override json(): Promise<unknown> {
    return this.#aborted ? this.#reject() : super.json()
  }

  override text(): Promise<string> {
    return this.#aborted ? this.#reject() : super.text()
  }

  async #reject(): Promise<never> {
    throw this.#facts.signal?.reason
  }
}

function failed(reason: unknown): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => controller.error(reason),
  })
}
