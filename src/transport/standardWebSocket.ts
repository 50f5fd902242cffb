// A socket over any class with the browser's WebSocket interface: the platform's own, or the one of the option
// `WebSocket`. It has no protocol pings, no headers, and cannot be cut off: only asked to close.

import type { WebSocketClass, WebSocketLike } from '../connection/options.ts'
import { CommsError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import type { OpenWebSocket } from './WebSocketTransport.ts'

interface Ended {
  readonly code?: number
  readonly reason?: string
  readonly wasClean?: boolean
}

function drop(this: WebSocketLike & { terminate?: () => void }): void {
  this.onopen = null
  this.onmessage = null
  this.onclose = null
  // Not null: closing a `ws` that is still connecting raises `error`, which nobody hearing it would end the process.
  this.onerror = () => {}
  if (this.terminate) this.terminate()
  else this.close()
}

function beginClose(this: WebSocketLike, code: number, reason: string): void {
  this.close(code, reason)
}

/** Opens the address with the class given, else with the platform's own. */
export const openStandardWebSocket: OpenWebSocket = (
  { url, protocols, WebSocket = globalThis.WebSocket as WebSocketClass | undefined },
  sink,
) => {
  if (!WebSocket) {
    throw new CommsError('this platform has no WebSocket: pass a class as option "WebSocket"', {
      code: 'UNSUPPORTED',
    })
  }
  const socket = new WebSocket(url, protocols)
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => sink.opened(socket.protocol ?? '')
  socket.onmessage = ({ data }: { data: string | ArrayBuffer }) => sink.frame(data)
  // Some implementations fire only `error` for a failed handshake, others also `close`: the line takes the first.
  socket.onerror = ({ error }: { error?: unknown }) =>
    sink.failed(
      new CommsError(`the connection to ${redactUrl(url)} failed`, { code: 'CONNECTION', cause: error }),
      'unknown',
    )
  socket.onclose = ({ code = 1006, reason = '', wasClean = false }: Ended) =>
    sink.ended({ code, reason, wasClean })
  // The socket itself with two methods more: a wrapper would be an object more, and a call more for every frame.
  return Object.assign(socket, { beginClose, drop })
}
