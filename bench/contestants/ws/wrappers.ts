// Reconnecting wrappers around a WebSocket. All are given `ws`, the fastest there is in Node.

import WebSocket from 'ws'
import type { MakeWs } from './contestant.ts'

/** partysocket's README, "Options": in Node, `WebSocket` from `ws`. */
export const partysocket: MakeWs = async (origin, { onOpen, onMessage, onClose }) => {
  const { WebSocket: PartySocket } = await import('partysocket')
  const socket = new PartySocket(`${origin}/ws`, [], { WebSocket })
  socket.addEventListener('open', onOpen)
  socket.addEventListener('message', ({ data }) => onMessage(JSON.parse(data)))
  socket.addEventListener('close', () => onClose?.())
  return {
    send: (message) => socket.send(JSON.stringify(message)),
    close: () => socket.close(),
  }
}

/**
 * reconnecting-websocket's README, "Sample with custom options". Its shortest delay is drawn once a page, from 1 to 5 seconds; here
 * many clients share a process, so each is given what a page of its own would have drawn.
 */
export const reconnectingWebsocket: MakeWs = async (origin, { onOpen, onMessage, onClose }) => {
  const { ReconnectingWebSocket } = await import('../reconnectingWebSocket.ts')
  const socket = new ReconnectingWebSocket(`${origin}/ws`, [], {
    WebSocket,
    minReconnectionDelay: 1000 + Math.random() * 4000,
  })
  socket.addEventListener('open', onOpen)
  socket.addEventListener('message', ({ data }) => onMessage(JSON.parse(data)))
  socket.addEventListener('close', () => onClose?.())
  return {
    send: (message) => socket.send(JSON.stringify(message)),
    close: () => socket.close(),
  }
}

/** websocket-ts's README, "Quickstart": a buffer and a backoff. It takes the global WebSocket, so `ws` is put there. */
export const websocketTs: MakeWs = async (origin, { onOpen, onMessage, onClose }) => {
  Object.assign(globalThis, { WebSocket })
  const { ArrayQueue, ExponentialBackoff, WebsocketBuilder } = await import('websocket-ts')
  const socket = new WebsocketBuilder(`${origin}/ws`)
    .withBuffer(new ArrayQueue())
    .withBackoff(new ExponentialBackoff(1000, 6))
    .onOpen(onOpen)
    .onClose(() => onClose?.())
    .onMessage((_socket, { data }) => onMessage(JSON.parse(data)))
    .build()
  return {
    send: (message) => socket.send(JSON.stringify(message)),
    close: () => socket.close(),
  }
}
