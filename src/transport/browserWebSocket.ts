// The platform's own WebSocket: browsers, workers, Deno, Bun.

import { openStandardWebSocket } from './standardWebSocket.ts'
import type { OpenWebSocket } from './WebSocketTransport.ts'

/** Whether a token can travel in the upgrade: this interface has no headers. */
export const sendsAuthorization = false

/** Nothing here counts the bytes of a text without encoding it. */
export const utf8Length = undefined

export const openWebSocket: OpenWebSocket = openStandardWebSocket
