// Realtime platforms, as far as they tell what becomes of a message.

import type { MakeFate } from './contestant.ts'

/** socket.io's docs, "Delivery guarantees": at most once, unless one asks for more. */
export const socketIo: MakeFate = async (origin, { onOpen, onMessage }) => {
  const { io } = await import('socket.io-client')
  const socket = io(origin.replace('ws:', 'http:'), { transports: ['websocket'] })
  socket.on('connect', onOpen)
  socket.on('message', ({ n }) => onMessage(n))
  return {
    send(n) {
      socket.emit('message', { n })
      return undefined
    },
  }
}

/**
 * socket.io's docs, "Delivery guarantees" and "Client options" (`retries`, with the values shown there): acknowledged one after the
 * other, sent again until then. Its server recovers states. The docs go on to have the app number its messages, keep them
 * in a database and tell doubles by their numbers: that would be the app's own session.
 */
export const socketIoWithRetries: MakeFate = async (origin, { onOpen, onMessage, onTold }) => {
  const { io } = await import('socket.io-client')
  const socket = io(origin.replace('ws:', 'http:'), {
    transports: ['websocket'],
    ackTimeout: 10_000,
    retries: 3,
  })
  socket.on('connect', onOpen)
  socket.on('message', ({ n }) => onMessage(n))
  return {
    send(n) {
      socket.emit('message', { n }, (error: unknown) => {
        if (error) onTold(n)
      })
      return undefined
    },
  }
}

/** SignalR's docs, "JavaScript client": automatic reconnect; `send` rejects while there is no connection. */
export const signalR: MakeFate = async (origin, { onOpen, onMessage }) => {
  const { HttpTransportType, HubConnectionBuilder, LogLevel } = await import('@microsoft/signalr')
  const connection = new HubConnectionBuilder()
    .withUrl(`${origin.replace('ws:', 'http:')}/hub`, {
      skipNegotiation: true,
      transport: HttpTransportType.WebSockets,
    })
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None)
    .build()
  connection.on('message', ({ n }) => onMessage(n))
  connection.onreconnected(onOpen)
  // "Automatically reconnect" gives up after four attempts; the docs then have the app start it again.
  const begin = async (): Promise<void> => {
    try {
      await connection.start()
      onOpen()
    } catch {
      setTimeout(begin, 5000)
    }
  }
  connection.onclose(begin)
  await begin()
  return { send: (n) => connection.send('message', { n }) }
}
