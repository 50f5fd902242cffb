// A client process for the section `nodes`: many sessions at once, frame by frame, and resumes on one node or another.

import { once } from 'node:events'
import { WebSocket } from 'ws'
import { answer } from '../harness/child.ts'

interface Held {
  readonly socket: WebSocket
  said: number
}

const open: Held[] = []

async function connect(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, 'guru.v1', { perMessageDeflate: false })
  await once(socket, 'open')
  return socket
}

/** The next control message of this kind. */
function hear(socket: WebSocket, t: string): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    const onMessage = (data: Buffer) => {
      const text = data.toString()
      if (!text.startsWith(`{"t":"${t}"`)) return
      socket.off('message', onMessage)
      resolve(JSON.parse(text))
    }
    socket.on('message', onMessage)
  })
}

/** Acknowledges each message at once, and says that it lives when it is asked. */
function acknowledge(socket: WebSocket): void {
  socket.on('message', (data: Buffer) => {
    const text = data.toString('latin1')
    const [number] = text.split(':', 1)
    if (number && /^\d+$/.test(number)) socket.send(`{"t":"ack","rx":${number}}`)
    else if (text.startsWith('{"t":"ping"')) socket.send(text.replace('ping', 'pong'))
  })
}

answer({
  /** Opens `count` sessions spread over the nodes, and leaves them open. */
  async openMany({ ports, count }: { ports: number[]; count: number }) {
    for (let made = 0; made < count; made += 60) {
      await Promise.all(
        Array.from({ length: Math.min(60, count - made) }, async (_, index) => {
          const socket = await connect(ports[(made + index) % ports.length] as number)
          const opened = hear(socket, 'opened')
          socket.send('{"t":"open"}')
          await opened
          acknowledge(socket)
          open.push({ socket, said: 0 })
        }),
      )
    }
    return open.length
  },
  /** Each session says something, so many at a time; resolves when all is acknowledged. */
  async sayAll({ size, atOnce }: { size: number; atOnce: number }) {
    for (let from = 0; from < open.length; from += atOnce) {
      await Promise.all(
        open.slice(from, from + atOnce).map(async (held) => {
          held.said += 1
          const acked = hear(held.socket, 'ack')
          held.socket.send(`${held.said}:${'x'.repeat(size)}`)
          await acked
        }),
      )
    }
  },
  /** A session of its own on this node. */
  async begin({ port }: { port: number }) {
    const socket = await connect(port)
    const opened = hear(socket, 'opened')
    socket.send('{"t":"open"}')
    const { sid, key } = await opened
    socket.terminate()
    return { sid, key }
  },
  /**
   * Milliseconds from the beginning of a new connection until the session goes on, and until `count` unacknowledged messages have come
   * and are acknowledged.
   */
  async resume({
    port,
    sid,
    key,
    epoch,
    rx,
    count,
  }: Record<string, never> & { port: number; rx: number; count: number }) {
    const began = performance.now()
    const socket = await connect(port)
    const opened = hear(socket, 'opened')
    const all = new Promise<void>((resolve) => {
      if (count === 0) resolve()
      let left = count
      socket.on('message', (data: Buffer) => {
        if (data[0] === 0x7b) return
        left -= 1
        if (left === 0) resolve()
      })
    })
    socket.send(JSON.stringify({ t: 'resume', sid, key, epoch, rx }))
    await opened
    const openMs = performance.now() - began
    await all
    const allMs = performance.now() - began
    if (count > 0) socket.send(JSON.stringify({ t: 'ack', rx: rx + count }))
    // The server has heard it.
    const pong = hear(socket, 'pong')
    socket.send('{"t":"ping","at":1}')
    await pong
    socket.terminate()
    return { openMs, allMs }
  },
})
