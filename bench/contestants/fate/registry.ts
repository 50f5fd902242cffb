// Every contestant of the section `fate` by id. centrifuge is not among them: what it recovers it has from the history that its own
// server keeps, a program in Go. SignalR takes part as it is without stateful reconnect, which needs its server, too.

import type { MakeWs } from '../ws/contestant.ts'
import type { FateEntry, MakeFate } from './contestant.ts'

/** One of those that make no promises about what is sent. */
const plain =
  (load: () => Promise<MakeWs>): (() => Promise<MakeFate>) =>
  async () => {
    const make = await load()
    return async (origin, { onOpen, onMessage }) => {
      const made = await make(origin, {
        onOpen,
        onMessage: (message) => onMessage((message as { n: number }).n),
      })
      return {
        send(n) {
          made.send({ n })
          return undefined
        },
      }
    }
  }

const wrappers = () => import('../ws/wrappers.ts')
const guru = () => import('./guru.ts')
const platforms = () => import('./platforms.ts')

export const fateContestants: Record<string, FateEntry> = {
  'guru-session': {
    name: 'guru-comms, in a session',
    kind: 'ours',
    server: 'session',
    load: async () => (await guru()).inSession,
  },
  guru: {
    name: 'guru-comms, plain',
    kind: 'ours',
    server: 'plain',
    load: async () => (await guru()).withoutSession,
  },
  partysocket: {
    name: 'partysocket',
    kind: 'peer',
    server: 'plain',
    load: plain(async () => (await wrappers()).partysocket),
  },
  'reconnecting-websocket': {
    name: 'reconnecting-websocket',
    kind: 'peer',
    server: 'plain',
    load: plain(async () => (await wrappers()).reconnectingWebsocket),
  },
  'websocket-ts': {
    name: 'websocket-ts',
    kind: 'peer',
    server: 'plain',
    load: plain(async () => (await wrappers()).websocketTs),
  },
  'socket.io': {
    name: 'socket.io',
    kind: 'peer',
    server: 'socket.io',
    load: async () => (await platforms()).socketIo,
  },
  'socket.io-recovery': {
    name: 'socket.io, recovery and retries',
    kind: 'peer',
    server: 'socket.io-recovery',
    load: async () => (await platforms()).socketIoWithRetries,
  },
  signalr: {
    name: 'SignalR, without stateful reconnect',
    kind: 'peer',
    server: 'plain',
    load: async () => (await platforms()).signalR,
  },
}
