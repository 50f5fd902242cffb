// The bare transport: `ws` with JSON at both ends and nothing else. It does not reconnect.

import WebSocket from 'ws'
import type { MakeWs } from './contestant.ts'

/** ws's README, "Sending and receiving text data". */
export const rawWs: MakeWs = (origin, { onOpen, onMessage }) => {
  const socket = new WebSocket(`${origin}/ws`)
  socket.on('open', onOpen)
  socket.on('message', (data) => onMessage(JSON.parse(data.toString())))
  socket.on('error', () => {})
  return {
    send: (message) => socket.send(JSON.stringify(message)),
    close: () => socket.close(),
  }
}

/** Node's own WebSocket (undici's), the same way. */
export const nodeWebSocket: MakeWs = (origin, { onOpen, onMessage }) => {
  const socket = new globalThis.WebSocket(`${origin}/ws`)
  socket.addEventListener('open', onOpen)
  socket.addEventListener('message', ({ data }) => onMessage(JSON.parse(data as string)))
  return {
    send: (message) => socket.send(JSON.stringify(message)),
    close: () => socket.close(),
  }
}
