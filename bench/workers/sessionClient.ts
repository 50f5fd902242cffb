// A client process for the section `session`: many sessions at once, a resume, a long life.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { GuruConnection, type Receipt } from 'guru-comms'
import { WebSocket } from 'ws'
import { answer } from '../harness/child.ts'
import { documentOf } from '../servers/payload.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const open: WebSocket[] = []

/** A line through a door that can be shut: what is sent meanwhile goes nowhere. */
async function door(port: number) {
  let shut = false
  const pairs = new Set<[Socket, Socket]>()
  const listener = createServer((inner) => {
    const outer = connect(port, '127.0.0.1')
    const pair: [Socket, Socket] = [inner, outer]
    pairs.add(pair)
    inner.on('data', (data) => !shut && outer.write(data))
    outer.on('data', (data) => !shut && inner.write(data))
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        for (const other of pair) other.destroy()
        pairs.delete(pair)
      })
    }
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    shut() {
      shut = true
    },
    reopen() {
      shut = false
      for (const pair of pairs) pair[0].destroy()
    },
    close: () => listener.close(),
  }
}

const opened = (connection: GuruConnection) =>
  new Promise<void>((resolve) => connection.once('open', resolve))

answer({
  /** Opens `count` sessions, frame by frame, and leaves them open. */
  async openMany({ port, count }: { port: number; count: number }) {
    for (let made = 0; made < count; made += 100) {
      await Promise.all(
        Array.from({ length: Math.min(100, count - made) }, async () => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, 'guru.v1', { perMessageDeflate: false })
          open.push(socket)
          await once(socket, 'open')
          socket.send('{"t":"open"}')
          await once(socket, 'message')
        }),
      )
    }
    return open.length
  },
  /** Milliseconds to send `count` messages and have them acknowledged: on an open line, and by a resume. */
  async resume({ port, count, rounds }: { port: number; count: number; rounds: number }) {
    const way = await door(port)
    const connection = new GuruConnection({
      url: `ws://127.0.0.1:${way.port}/ws`,
      session: 'required',
      reconnectDelay: 1,
      healthUrl: false,
      stableAfter: 0,
    })
    connection.on('error', () => {})
    await opened(connection)
    const message = JSON.stringify(documentOf(1024))
    const sendAll = () => {
      let last: Receipt | undefined
      for (let index = 0; index < count; index += 1) last = connection.send(message)
      return (last as Receipt).delivered
    }
    await sendAll()
    const fresh: number[] = []
    const resumed: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const began = performance.now()
      await sendAll()
      fresh.push(performance.now() - began)
      way.shut()
      const delivered = sendAll()
      await turn()
      const back = opened(connection)
      way.reopen()
      await back
      const again = performance.now()
      await delivered
      resumed.push(performance.now() - again)
      await turn()
    }
    connection.dispose()
    way.close()
    return { fresh, resumed }
  },
  /** Sends `count` messages in all, and tells the heap after each tenth. */
  async live({ port, count }: { port: number; count: number }) {
    const connection = new GuruConnection({ url: `ws://127.0.0.1:${port}/ws`, session: 'required' })
    await opened(connection)
    const heaps: number[] = []
    for (let tenth = 0; tenth <= 10; tenth += 1) {
      let last: Receipt | undefined
      // The first tenth is for warming up.
      for (let sent = 0; sent < count / 10; sent += 1) {
        last = connection.send({ type: 'note', n: sent })
        if (sent % 200 === 0) {
          await connection.ready()
          await turn()
        }
      }
      await last?.delivered
      for (let pass = 0; pass < 3; pass += 1) (globalThis as { gc?: () => void }).gc?.()
      heaps.push(process.memoryUsage().heapUsed)
    }
    connection.dispose()
    return heaps
  },
})
