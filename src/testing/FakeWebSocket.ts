// A WebSocket class whose other end is the test: for `GuruConnection`'s option `WebSocket`.

/** One end of a made-up socket. The test plays the server: `accept`, `receive`, `cut`; what the client sent is in `sent`. */
export class FakeWebSocket {
  /** Every socket made since the last `FakeWebSocket.reset()`. */
  static readonly all: FakeWebSocket[] = []

  readonly url: string
  /** The subprotocols that the client offers. */
  readonly protocols: readonly string[]
  /** The one that was accepted. */
  protocol = ''
  readonly sent: (string | ArrayBuffer | ArrayBufferView)[] = []
  readyState = 0
  bufferedAmount = 0
  binaryType = 'blob'
  onopen: ((event: never) => void) | null = null
  onmessage: ((event: never) => void) | null = null
  onerror: ((event: never) => void) | null = null
  onclose: ((event: never) => void) | null = null

  constructor(url: string, protocols: string | string[] = []) {
    this.url = url
    this.protocols = [protocols].flat()
    FakeWebSocket.all.push(this)
  }

  static reset(): void {
    FakeWebSocket.all.length = 0
  }

  /** The socket made last. */
  static get latest(): FakeWebSocket {
    const socket = FakeWebSocket.all.at(-1)
    if (!socket) throw new Error('no socket has been made yet')
    return socket
  }

  /** What was sent as JSON, parsed. */
  get messages(): Record<string, unknown>[] {
    return this.sent.filter((data) => typeof data === 'string').map((data) => JSON.parse(data))
  }

  /** The server takes the connection. */
  accept(protocol = ''): void {
    this.readyState = 1
    this.protocol = protocol
    this.#tell(this.onopen, { type: 'open' })
  }

  /** The server sends something: text or bytes as they are, anything else as JSON. */
  receive(message: unknown): void {
    const data =
      typeof message === 'string' || message instanceof ArrayBuffer ? message : JSON.stringify(message)
    this.#tell(this.onmessage, { type: 'message', data })
  }

  /** The connection ends, by default as a broken one does. */
  cut(code = 1006, reason = '', wasClean = false): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#tell(this.onclose, { type: 'close', code, reason, wasClean })
  }

  send(data: string | ArrayBuffer | ArrayBufferView): void {
    this.sent.push(data)
  }

  close(code = 1000, reason = ''): void {
    if (this.readyState >= 2) return
    this.readyState = 2
    queueMicrotask(() => this.cut(code, reason, true))
  }

  #tell(listener: ((event: never) => void) | null, event: object): void {
    listener?.call(this, event as never)
  }
}
