// A socket as a line needs it, what it reports, and the platform that opens it. Types only.

import type { Frame, Payload, Utf8Length } from './encoding.ts'
import type { WebSocketClass } from './options.ts'
import type { CloseInfo } from './reconnect.ts'
import type { FailedUpgrade } from './subprotocolOffer.ts'

/** A socket as the line needs it. After `drop` it must say nothing more to its sink, and raise nothing. */
export interface LineSocket {
  /** 1 while it takes frames, as in the WebSocket interface. */
  readonly readyState: number
  /** Bytes handed over that the network has not taken. */
  readonly bufferedAmount: number
  /** Bytes besides, that wait for the end of this turn. */
  readonly gatheredBytes?: number
  send(payload: Payload): void
  /** Sends the text `number:text`. Absent where nothing is gained over gluing them together. */
  sendNumbered?(number: number, text: string): void
  /** A frame has gone out: those that follow in this turn may go together at its end. Absent where nothing is gained. */
  gather?(): void
  /** Sends a protocol ping; absent where the platform has none. */
  protocolPing?(): void
  /** Begins the closing handshake. */
  beginClose(code: number, reason: string): void
  /** Ends it now, in whatever state it is, without waiting for anybody. */
  drop(): void
}

/** What a socket reports. Of `ended` and `failed` it may call either, both or one twice. */
export interface SocketSink {
  /** @param protocol the subprotocol that the server selected; empty for none */
  opened(protocol: string): void
  /** A frame came in: text, or bytes (as they lie in the receive buffer: copied only for who listens). */
  frame(data: Frame): void
  /** The text `number:text` came in on a line that has selected a protocol; `frame` of it is the same. */
  numbered(number: number, text: string): void
  /** A ping or pong frame came in. */
  alive(): void
  ended(close: CloseInfo): void
  /** @param upgrade what is known of the upgrade, if there has been no `opened` */
  failed(error: Error, upgrade: FailedUpgrade): void
}

/** What a socket is opened with. */
export interface SocketRequest {
  /** `ws:` or `wss:`, already checked. */
  readonly url: string
  /** For `Authorization: Bearer`, where the platform can send it. */
  readonly token: string | undefined
  /** The largest message to take, in bytes. */
  readonly maxPayload: number
  /** The socket alone does not keep the process alive. */
  readonly unref: boolean
  /** The subprotocols to offer. */
  readonly protocols: string[]
  /** A class to use instead of the platform's own. */
  readonly WebSocket: WebSocketClass | undefined
}

/** What a line needs of the platform. */
export interface Platform {
  /** Whether its own sockets can send a token with the upgrade. */
  readonly sendsAuthorization: boolean
  /** Counts the bytes of a text, where that goes without encoding it. */
  readonly utf8Length: Utf8Length | undefined
  /**
   * Begins to open a socket, and reports to `sink` from a later turn on.
   * @throws when the platform refuses the address outright
   */
  open(request: SocketRequest, sink: SocketSink): LineSocket
  /** Whether the address answers with a 2xx. Rejections count as no. */
  probe(url: string, signal: AbortSignal): Promise<boolean>
  /** Hints about the network; undefined where there are none. Returns what stops it. */
  watch(onHint: (hint: NetworkHint) => void): (() => void) | undefined
}

/** `back`: the network or the user has come back; `gone`: the platform says that it is offline. Never more than hints. */
export type NetworkHint = 'back' | 'gone'
