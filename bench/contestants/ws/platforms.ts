// Realtime platforms: clients with a protocol of their own, over the WebSocket transport alone.

import WebSocket from 'ws'
import type { MakeWs } from './contestant.ts'

/** socket.io's docs, "Client options": `transports: ['websocket']` skips the long-polling start. */
export const socketIo: MakeWs = async (origin, { onOpen, onMessage, onClose }) => {
  const { io } = await import('socket.io-client')
  const socket = io(origin.replace('ws:', 'http:'), { transports: ['websocket'] })
  socket.on('connect', onOpen)
  socket.on('message', onMessage)
  socket.on('disconnect', () => onClose?.())
  return {
    send: (message) => socket.emit('message', message),
    close: () => socket.close(),
  }
}

/** SignalR's docs, "JavaScript client" and "Configuration": automatic reconnect, negotiation skipped. */
export const signalR: MakeWs = async (origin, { onOpen, onMessage, onClose }) => {
  const { HttpTransportType, HubConnectionBuilder, LogLevel } = await import('@microsoft/signalr')
  const connection = new HubConnectionBuilder()
    .withUrl(`${origin.replace('ws:', 'http:')}/hub`, {
      skipNegotiation: true,
      transport: HttpTransportType.WebSockets,
    })
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None)
    .build()
  connection.on('message', onMessage)
  connection.onreconnected(onOpen)
  connection.onreconnecting(() => onClose?.())
  await connection.start()
  onOpen()
  return {
    // While it reconnects `send` rejects: the application is told, nothing is queued.
    send: (message) => void connection.send('message', message).catch(() => {}),
    close: () => void connection.stop(),
  }
}

/** centrifuge-js's README, "Using with NodeJS": `ws` as `websocket`; asynchronous messages with `send`. */
export const centrifuge: MakeWs = async (origin, { onOpen, onMessage, onClose }) => {
  const { Centrifuge } = await import('centrifuge')
  const client = new Centrifuge(`${origin}/centrifugo`, { websocket: WebSocket })
  client.on('connected', onOpen)
  client.on('message', ({ data }) => onMessage(data))
  // Also told when it connects for the first time.
  client.on('connecting', () => onClose?.())
  client.connect()
  return {
    send: (message) => void client.send(message).catch(() => {}),
    close: () => client.disconnect(),
  }
}
