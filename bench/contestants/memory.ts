// Things whose heap is weighed: how one is made, `index` telling it from the others.
// Each runs in a process of its own; what is returned is kept alive until it has been weighed.

export interface Subject {
  name: string
  group: 'idle connection' | 'connected' | 'HTTP client' | 'queued message' | 'guards'
  kind: 'ours' | 'peer' | 'base'
  /** How many are made and weighed together. */
  count: number
  /** Readies what all share (modules, agents, servers) and returns the maker. */
  prepare(origin: string): Promise<(index: number) => unknown>
  /** What the same number of bare payloads or bare sockets weighs is taken off. */
  over?: string
}

/** A text of its own for each index: a flat string of 100 characters, one byte each. */
export function payload(index: number): string {
  return Buffer.from(`message ${String(index).padStart(8, '0')} `.padEnd(100, 'of some length ')).toString(
    'latin1',
  )
}

const IDLE = 5000
const CONNECTED = 1000
const QUEUED = 10_000

export const subjects: Record<string, Subject> = {
  'guru-idle': {
    name: 'GuruConnection, never connected',
    group: 'idle connection',
    kind: 'ours',
    count: IDLE,
    async prepare(origin) {
      const { GuruConnection } = await import('guru-comms/GuruConnection')
      return () => new GuruConnection({ url: `${origin}/ws`, autoConnect: false })
    },
  },
  'partysocket-idle': {
    name: 'partysocket, startClosed',
    group: 'idle connection',
    kind: 'peer',
    count: IDLE,
    async prepare(origin) {
      const { WebSocket } = await import('partysocket')
      const ws = (await import('ws')).default
      return () => new WebSocket(`${origin}/ws`, [], { WebSocket: ws, startClosed: true })
    },
  },
  'reconnecting-websocket-idle': {
    name: 'reconnecting-websocket, startClosed',
    group: 'idle connection',
    kind: 'peer',
    count: IDLE,
    async prepare(origin) {
      const ReconnectingWebSocket = (await import('./reconnectingWebSocket.ts')).ReconnectingWebSocket
      const ws = (await import('ws')).default
      return () => new ReconnectingWebSocket(`${origin}/ws`, [], { WebSocket: ws, startClosed: true })
    },
  },
  'socket.io-idle': {
    name: 'socket.io, autoConnect off',
    group: 'idle connection',
    kind: 'peer',
    count: IDLE,
    async prepare(origin) {
      const { io } = await import('socket.io-client')
      const url = origin.replace('ws:', 'http:')
      return () => io(url, { autoConnect: false, forceNew: true, transports: ['websocket'] })
    },
  },
  'signalr-idle': {
    name: 'SignalR, built',
    group: 'idle connection',
    kind: 'peer',
    count: IDLE,
    async prepare(origin) {
      const { HubConnectionBuilder, LogLevel } = await import('@microsoft/signalr')
      const url = `${origin.replace('ws:', 'http:')}/hub`
      return () =>
        new HubConnectionBuilder()
          .withUrl(url)
          .withAutomaticReconnect()
          .configureLogging(LogLevel.None)
          .build()
    },
  },
  'centrifuge-idle': {
    name: 'centrifuge, made',
    group: 'idle connection',
    kind: 'peer',
    count: IDLE,
    async prepare(origin) {
      const { Centrifuge } = await import('centrifuge')
      const websocket = (await import('ws')).default
      return () => new Centrifuge(`${origin}/centrifugo`, { websocket })
    },
  },
  'ws-connected': {
    name: 'ws, connected',
    group: 'connected',
    kind: 'base',
    count: CONNECTED,
    async prepare(origin) {
      const WebSocket = (await import('ws')).default
      return async () => {
        const socket = new WebSocket(`${origin}/ws`)
        socket.on('message', () => {})
        await new Promise((resolve, reject) => {
          socket.once('open', resolve)
          socket.once('error', reject)
        })
        return socket
      }
    },
  },
  'guru-connected': {
    name: 'GuruConnection, connected, over ws',
    group: 'connected',
    kind: 'ours',
    count: CONNECTED,
    over: 'ws-connected',
    async prepare(origin) {
      const { GuruConnection } = await import('guru-comms/GuruConnection')
      return async () => {
        const connection = new GuruConnection({ url: `${origin}/ws` })
        connection.on('message', () => {})
        await new Promise<void>((resolve) => void connection.once('open', () => resolve()))
        return connection
      }
    },
  },
  'partysocket-connected': {
    name: 'partysocket, connected, over ws',
    group: 'connected',
    kind: 'peer',
    count: CONNECTED,
    over: 'ws-connected',
    async prepare(origin) {
      const { WebSocket } = await import('partysocket')
      const ws = (await import('ws')).default
      return async () => {
        const socket = new WebSocket(`${origin}/ws`, [], { WebSocket: ws, minReconnectionDelay: 1 })
        socket.addEventListener('message', () => {})
        await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }))
        return socket
      }
    },
  },
  'reconnecting-websocket-connected': {
    name: 'reconnecting-websocket, connected, over ws',
    group: 'connected',
    kind: 'peer',
    count: CONNECTED,
    over: 'ws-connected',
    async prepare(origin) {
      const ReconnectingWebSocket = (await import('./reconnectingWebSocket.ts')).ReconnectingWebSocket
      const ws = (await import('ws')).default
      return async () => {
        const socket = new ReconnectingWebSocket(`${origin}/ws`, [], { WebSocket: ws })
        socket.addEventListener('message', () => {})
        await new Promise((resolve) => socket.addEventListener('open', () => resolve(undefined)))
        return socket
      }
    },
  },
  'socket.io-connected': {
    name: 'socket.io, connected, over ws',
    group: 'connected',
    kind: 'peer',
    count: CONNECTED,
    over: 'ws-connected',
    async prepare(origin) {
      const { io } = await import('socket.io-client')
      const url = origin.replace('ws:', 'http:')
      return async () => {
        const socket = io(url, { forceNew: true, transports: ['websocket'] })
        socket.on('message', () => {})
        await new Promise<void>((resolve) => void socket.once('connect', () => resolve()))
        return socket
      }
    },
  },
  'guru-client': {
    name: 'ApiClient',
    group: 'HTTP client',
    kind: 'ours',
    count: IDLE,
    async prepare() {
      const { ApiClient } = await import('guru-comms/ApiClient')
      return (index) => new ApiClient({ baseURL: `http://127.0.0.1:${1024 + (index % 60_000)}` })
    },
  },
  'axios-client': {
    name: 'axios.create + axios-retry',
    group: 'HTTP client',
    kind: 'peer',
    count: IDLE,
    async prepare() {
      const { default: axios } = await import('axios')
      const { default: retry } = await import('axios-retry')
      return (index) => {
        const client = axios.create({
          baseURL: `http://127.0.0.1:${1024 + (index % 60_000)}`,
          timeout: 12_000,
        })
        retry(client, { retries: 2 })
        return client
      }
    },
  },
  'got-client': {
    name: 'got.extend',
    group: 'HTTP client',
    kind: 'peer',
    count: 1000,
    async prepare() {
      const { default: got } = await import('got')
      return (index) =>
        got.extend({ prefixUrl: `http://127.0.0.1:${1024 + (index % 60_000)}`, timeout: { request: 12_000 } })
    },
  },
  'ky-client': {
    name: 'ky.create',
    group: 'HTTP client',
    kind: 'peer',
    count: IDLE,
    async prepare() {
      const { default: ky } = await import('ky')
      return (index) => ky.create({ baseUrl: `http://127.0.0.1:${1024 + (index % 60_000)}`, timeout: 12_000 })
    },
  },
  'ofetch-client': {
    name: 'ofetch.create',
    group: 'HTTP client',
    kind: 'peer',
    count: IDLE,
    async prepare() {
      const { ofetch } = await import('ofetch')
      return (index) =>
        ofetch.create({ baseURL: `http://127.0.0.1:${1024 + (index % 60_000)}`, timeout: 12_000 })
    },
  },
  'retry-agent-client': {
    name: 'undici RetryAgent + cockatiel breaker',
    group: 'HTTP client',
    kind: 'peer',
    count: 1000,
    async prepare() {
      const { Agent, RetryAgent } = await import('undici')
      const { SamplingBreaker, circuitBreaker, handleAll } = await import('cockatiel')
      return () => [
        new RetryAgent(new Agent()),
        circuitBreaker(handleAll, {
          halfOpenAfter: 60_000,
          breaker: new SamplingBreaker({ threshold: 0.5, duration: 60_000 }),
        }),
      ]
    },
  },
  'opossum-breaker': {
    name: 'opossum breaker',
    group: 'guards',
    kind: 'peer',
    count: 1000,
    async prepare() {
      const { default: CircuitBreaker } = await import('opossum')
      return () => new CircuitBreaker(async () => 1, { timeout: false })
    },
  },
  'bottleneck-limiter': {
    name: 'Bottleneck',
    group: 'guards',
    kind: 'peer',
    count: 1000,
    async prepare() {
      const { default: Bottleneck } = await import('bottleneck')
      return () => new Bottleneck({ maxConcurrent: 100 })
    },
  },
  payload: {
    name: 'a text of 100 characters',
    group: 'queued message',
    kind: 'base',
    count: QUEUED,
    async prepare() {
      return payload
    },
  },
  'guru-queued': {
    name: 'GuruConnection.send while down, over its payload',
    group: 'queued message',
    kind: 'ours',
    count: QUEUED,
    over: 'payload',
    async prepare(origin) {
      const { GuruConnection } = await import('guru-comms/GuruConnection')
      let connection: InstanceType<typeof GuruConnection>
      return (index) => {
        if (index === 0) connection = new GuruConnection({ url: `${origin}/ws`, autoConnect: false })
        connection.send(payload(index))
        return index === 0 ? connection : undefined
      }
    },
  },
  'partysocket-queued': {
    name: 'partysocket.send while down, over its payload',
    group: 'queued message',
    kind: 'peer',
    count: QUEUED,
    over: 'payload',
    async prepare(origin) {
      const { WebSocket } = await import('partysocket')
      const ws = (await import('ws')).default
      let socket: InstanceType<typeof WebSocket>
      return (index) => {
        if (index === 0) socket = new WebSocket(`${origin}/ws`, [], { WebSocket: ws, startClosed: true })
        socket.send(payload(index))
        return index === 0 ? socket : undefined
      }
    },
  },
  'socket.io-queued': {
    name: 'socket.io emit while down, over its payload',
    group: 'queued message',
    kind: 'peer',
    count: QUEUED,
    over: 'payload',
    async prepare(origin) {
      const { io } = await import('socket.io-client')
      const url = origin.replace('ws:', 'http:')
      let socket: ReturnType<typeof io>
      return (index) => {
        if (index === 0) socket = io(url, { autoConnect: false, forceNew: true })
        socket.emit('message', payload(index))
        return index === 0 ? socket : undefined
      }
    },
  },
}
