// Wire: bytes that a client sends beyond what its application says: pings, and headers of a request.

import { HTTP_REFERENCE, httpContestants } from '../contestants/http/registry.ts'
import { type Child, start } from '../harness/child.ts'
import { reason } from '../harness/reason.ts'
import { table } from '../report/markdown.ts'
import { type Frame, openTap, type Tap } from '../servers/tap.ts'
import type { Context, Gate, Section, Telling } from './section.ts'

const HEARTBEAT_MS = 300

export interface WireData {
  /** Whole frames: header, mask, payload. */
  pings: Record<string, { bytes: number; opcode: number; text: string }>
  heads: Record<string, { get: number; post: number; names: string[] }>
  failures: Record<string, string>
}

type Pinger = (origin: string) => Promise<() => void>

/** Who pings, with the interval shortened where there is an option; the platforms answer the server's. */
const pingers: Record<string, Pinger> = {
  'guru-comms in Node': async (origin) => {
    const { GuruConnection } = await import('guru-comms/GuruConnection')
    const connection = new GuruConnection({ url: `${origin}/ws`, pingInterval: HEARTBEAT_MS })
    return () => connection.dispose()
  },
  'guru-comms in browsers': async (origin) => {
    const { GuruConnection } = await import('guru-comms/GuruConnection')
    const connection = new GuruConnection({
      url: `${origin}/ws`,
      pingInterval: HEARTBEAT_MS,
      // The standard WebSocket cannot send protocol pings, here as in browsers.
      WebSocket: globalThis.WebSocket,
    })
    return () => connection.dispose()
  },
  'socket.io (answer)': async (origin) => {
    const { io } = await import('socket.io-client')
    const socket = io(origin.replace('ws:', 'http:'), { transports: ['websocket'], forceNew: true })
    return () => socket.close()
  },
  SignalR: async (origin) => {
    const { HttpTransportType, HubConnectionBuilder, LogLevel } = await import('@microsoft/signalr')
    const connection = new HubConnectionBuilder()
      .withUrl(`${origin.replace('ws:', 'http:')}/hub`, {
        skipNegotiation: true,
        transport: HttpTransportType.WebSockets,
      })
      .configureLogging(LogLevel.None)
      .build()
    connection.keepAliveIntervalInMilliseconds = HEARTBEAT_MS
    await connection.start()
    return () => void connection.stop()
  },
  'centrifuge (answer)': async (origin) => {
    const { Centrifuge } = await import('centrifuge')
    const websocket = (await import('ws')).default
    const client = new Centrifuge(`${origin}/centrifugo`, { websocket })
    client.connect()
    return () => client.disconnect()
  },
}

/** The frame a connection sends on its own, again and again: the last one, once the handshakes are over. */
async function lastFrame(tap: Tap, begin: Pinger): Promise<Frame> {
  const end = await begin(tap.origin)
  const until = performance.now() + 5000
  const settled = HEARTBEAT_MS * 4
  await new Promise((resolve) => setTimeout(resolve, settled))
  while (!tap.frames.length && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 100))
  const frame = tap.frames.at(-1)
  end()
  if (!frame) throw new Error('nothing was sent')
  return frame
}

async function measure({ only, log }: Context): Promise<WireData> {
  const data: WireData = { pings: {}, heads: {}, failures: {} }
  for (const [name, begin] of Object.entries(pingers)) {
    const tap = await openTap(HEARTBEAT_MS)
    try {
      const { bytes, opcode, text } = await lastFrame(tap, begin)
      data.pings[name] = { bytes, opcode, text: opcode === 9 ? '' : text }
    } catch (error) {
      data.failures[name] = reason(error)
    }
    tap.close()
  }
  log('pings weighed')

  const server = await start(new URL('../servers/bareHttp.ts', import.meta.url))
  const origins = { bareHttp: `http://127.0.0.1:${await server.call<number>('listen')}` }
  for (const [id, { name, kind }] of Object.entries(httpContestants)) {
    if (kind === 'stack' || (only.length && !only.includes(id) && id !== HTTP_REFERENCE)) continue
    const child: Child = await start(new URL('../workers/http.ts', import.meta.url))
    try {
      await child.call('setup', { id, origins })
      const headOf = async (task: 'get' | 'post') => {
        await child.call('loop', { task, server: 'bareHttp', concurrency: 1, ms: 1 })
        return server.call<string>('lastHead')
      }
      const get = await headOf('get')
      const post = await headOf('post')
      const names = get
        .split('\r\n')
        .slice(1)
        .map((line) => (line.split(':')[0] ?? '').toLowerCase())
      data.heads[name] = { get: get.length + 4, post: post.length + 4, names }
    } catch (error) {
      data.failures[name] = reason(error)
    }
    await child.stop()
  }
  await server.stop()
  log('headers weighed')
  return data
}

const REFERENCE = httpContestants[HTTP_REFERENCE]?.name ?? ''
const OURS = httpContestants.guru?.name ?? ''

function gates({ pings, heads }: WireData): Gate[] {
  const added = (task: 'get' | 'post') =>
    (heads[OURS]?.[task] ?? Number.NaN) - (heads[REFERENCE]?.[task] ?? Number.NaN)
  return [
    {
      figure: 'a ping on the wire (browsers)',
      bound: 'max',
      must: 50,
      aim: 50,
      measured: pings['guru-comms in browsers']?.bytes ?? Number.NaN,
      unit: 'B',
    },
    {
      figure: 'header bytes added to a request',
      bound: 'max',
      must: 200,
      aim: 100,
      measured: Math.max(added('get'), added('post')),
      unit: 'B',
    },
  ]
}

function tell(data: WireData): Telling {
  const base = data.heads[REFERENCE]
  const parts = [
    '### What a connection sends by itself',
    table(
      ['client', 'bytes on the wire', 'what'],
      Object.entries(data.pings).map(([name, { bytes, opcode, text }]) => [
        name.startsWith('guru') ? `**${name}**` : name,
        String(bytes),
        opcode === 9 ? 'protocol ping' : `\`${text.replaceAll('\x1e', '')}\``,
      ]),
    ),
    '### Request line and headers',
    table(
      ['client', 'GET', 'over undici.request', 'POST', 'over undici.request', 'headers of a GET'],
      Object.entries(data.heads)
        .toSorted(([, a], [, b]) => a.get - b.get)
        .map(([name, { get, post, names }]) => [
          name.startsWith('guru') ? `**${name}**` : name,
          String(get),
          String(get - (base?.get ?? 0)),
          String(post),
          String(post - (base?.post ?? 0)),
          names.join(', '),
        ]),
    ),
  ]
  const failed = Object.entries(data.failures)
  if (failed.length) parts.push(failed.map(([name, why]) => `- ${name}: ${why}`).join('\n'))
  return { markdown: parts.join('\n\n'), charts: {}, gates: gates(data) }
}

export const wire: Section<WireData> = { name: 'wire', title: 'On the wire', measure, tell }
