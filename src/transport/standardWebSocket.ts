// A socket over any class with the browser's WebSocket interface: the platform's own, or the one of the option
// `WebSocket`. It has no protocol pings, no headers, and cannot be cut off: only asked to close.

import type { Payload } from '../connection/encoding.ts'
import type { LineSocket, SocketSink } from '../connection/Line.ts'
import type { WebSocketClass, WebSocketLike } from '../connection/options.ts'
import { CommsError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'

interface Ended {
  readonly code?: number
  readonly reason?: string
  readonly wasClean?: boolean
}

class StandardSocket implements LineSocket {
  readonly #socket: WebSocketLike

  constructor(socket: WebSocketLike) {
    this.#socket = socket
  }

  get readyState(): number {
    return this.#socket.readyState
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount
  }

  send(payload: Payload): void {
    this.#socket.send(payload)
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason)
  }

  drop(): void {
    const socket = this.#socket
    socket.onopen = null
    socket.onmessage = null
    socket.onclose = null
    // Not null: closing a `ws` that is still connecting raises `error`, which nobody hearing it would end the process.
    socket.onerror = () => {}
    const { terminate } = socket as { terminate?: () => void }
    if (typeof terminate === 'function') terminate.call(socket)
    else socket.close()
  }
}

/** Opens `url` with the given class. */
export function openStandardWebSocket(WebSocket: WebSocketClass, url: string, sink: SocketSink): LineSocket {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => sink.opened()
  socket.onmessage = ({ data }: { data: string | ArrayBuffer }) => sink.frame(data)
  // Some implementations fire only `error` for a failed handshake, others also `close`: the line takes the first.
  socket.onerror = ({ error }: { error?: unknown }) =>
    sink.failed(
      new CommsError(`the connection to ${redactUrl(url)} failed`, { code: 'CONNECTION', cause: error }),
    )
  socket.onclose = ({ code = 1006, reason = '', wasClean = false }: Ended) =>
    sink.ended({ code, reason, wasClean })
  return new StandardSocket(socket)
}
