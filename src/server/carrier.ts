// What carries sessions: a `WebSocketServer` of `ws`, made for it or the app's own, and the upgrades that ask for one.

import type { IncomingMessage, Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { FIRST_FRAME_LENGTH } from '../session/limits.ts'

/** The WebSocket subprotocol. */
export const SUBPROTOCOL = 'guru.v1'

/** A `WebSocketServer` of `ws`, as far as it is needed: who uses none needs no types of it. */
export interface WebSocketServerLike {
  readonly options: { readonly perMessageDeflate?: unknown }
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, callback: never): void
  on(name: 'connection', listener: never): unknown
  off(name: 'connection', listener: never): unknown
}

/** Number or header in front of a payload, at most. */
const HEADER_BYTES = 16
/** For the answer to a close frame; an option that the types of `ws` do not name. */
export const CLOSE_TIMEOUT = { closeTimeout: 5000 }
/** Pieces of one message: each costs far more than the byte that it may bring. Clients in use send large ones. */
export const MAX_FRAGMENTS = 1024

/** How a `WebSocketServer` of `ws` is made that carries sessions. @param maxFrame as in the options of the session server */
export function carrierOptions(maxFrame: number) {
  return {
    noServer: true,
    clientTracking: false,
    maxPayload: Math.max(maxFrame + HEADER_BYTES, 4 * FIRST_FRAME_LENGTH),
    autoPong: false,
    maxFragments: MAX_FRAGMENTS,
    ...CLOSE_TIMEOUT,
    // A context shared by keys and the app's data would tell about the keys.
    perMessageDeflate: false,
    handleProtocols: () => SUBPROTOCOL,
  }
}

/** Whether an upgrade offers guru.v1. */
export function offersSession({ headers }: IncomingMessage): boolean {
  const offered = headers['sec-websocket-protocol'] ?? ''
  return offered.split(',').some((name) => name.trim() === SUBPROTOCOL)
}

/** Whether it is one of `ws`, not of `node:http`. */
export function isWebSocketServer(
  server: Server | SecureServer | WebSocketServerLike,
): server is WebSocketServerLike {
  return 'handleUpgrade' in server
}
