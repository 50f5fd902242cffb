// Every realtime contestant by id. Loaded lazily: a process holds the libraries of its own contestant only.

import type { MakeWs } from './contestant.ts'

export interface WsEntry {
  name: string
  kind: 'baseline' | 'ours' | 'wrapper' | 'platform'
  reconnects: boolean
  /** Whether what is sent while disconnected waits for the next connection. */
  queues: boolean
  load: () => Promise<MakeWs>
}

const raw = () => import('./raw.ts')
const wrappers = () => import('./wrappers.ts')
const platforms = () => import('./platforms.ts')

export const WS_REFERENCE = 'ws'

export const wsContestants: Record<string, WsEntry> = {
  ws: {
    name: 'ws',
    kind: 'baseline',
    reconnects: false,
    queues: false,
    load: async () => (await raw()).rawWs,
  },
  'node-websocket': {
    name: "WebSocket (Node's own)",
    kind: 'baseline',
    reconnects: false,
    queues: false,
    load: async () => (await raw()).nodeWebSocket,
  },
  guru: {
    name: 'guru-comms GuruConnection',
    kind: 'ours',
    reconnects: true,
    queues: true,
    load: async () => (await import('./guru.ts')).guruConnection,
  },
  'guru-session': {
    name: 'guru-comms GuruConnection, in a session',
    kind: 'ours',
    reconnects: true,
    queues: true,
    load: async () => (await import('./guru.ts')).guruSession,
  },
  partysocket: {
    name: 'partysocket',
    kind: 'wrapper',
    reconnects: true,
    queues: true,
    load: async () => (await wrappers()).partysocket,
  },
  'reconnecting-websocket': {
    name: 'reconnecting-websocket',
    kind: 'wrapper',
    reconnects: true,
    queues: true,
    load: async () => (await wrappers()).reconnectingWebsocket,
  },
  'websocket-ts': {
    name: 'websocket-ts',
    kind: 'wrapper',
    reconnects: true,
    queues: true,
    load: async () => (await wrappers()).websocketTs,
  },
  'socket.io': {
    name: 'socket.io',
    kind: 'platform',
    reconnects: true,
    queues: true,
    load: async () => (await platforms()).socketIo,
  },
  signalr: {
    name: 'SignalR',
    kind: 'platform',
    reconnects: true,
    queues: false,
    load: async () => (await platforms()).signalR,
  },
  centrifuge: {
    name: 'centrifuge',
    kind: 'platform',
    reconnects: true,
    queues: false,
    load: async () => (await platforms()).centrifuge,
  },
}
