// What every way to open a WebSocket has in common: how it is asked, and what it promises.
// The socket itself is the line's `LineSocket`, what it reports goes to a `SocketSink`.

import type { LineSocket, SocketSink } from '../connection/Line.ts'

export type { LineSocket, SocketSink }

export interface WebSocketRequest {
  /** `ws:` or `wss:`, already checked. */
  readonly url: string
  /** For `Authorization: Bearer`, where the platform can send it. */
  readonly token: string | undefined
  /** The largest message to take, in bytes. */
  readonly maxPayload: number
  /** The socket alone does not keep the process alive. */
  readonly unref: boolean
}

/**
 * Begins to open a socket, and reports to `sink` from a later turn on.
 * @throws when the platform refuses the address outright
 */
export type OpenWebSocket = (request: WebSocketRequest, sink: SocketSink) => LineSocket
