// The platform's own WebSocket: browsers, workers, Deno, Bun.

import { CommsError } from '../core/errors.ts'
import { openStandardWebSocket } from './standardWebSocket.ts'
import type { OpenWebSocket } from './WebSocketTransport.ts'

/** Whether a token can travel in the upgrade: this interface has no headers. */
export const sendsAuthorization = false

export const openWebSocket: OpenWebSocket = ({ url }, sink) => {
  const { WebSocket } = globalThis
  if (typeof WebSocket !== 'function') {
    throw new CommsError('this platform has no WebSocket: pass a class as option "WebSocket"', {
      code: 'UNSUPPORTED',
    })
  }
  return openStandardWebSocket(WebSocket, url, sink)
}
