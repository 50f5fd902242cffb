// Many clients in one process: each sends counters and handles those of its server. CLIENTS, URL, EVERY_MS. Told to stop, each sends
// one more and waits until all of its own is delivered.

import { GuruConnection } from 'guru-comms'
import { say } from './report.mjs'

const { CLIENTS = '1', URL: url = '', EVERY_MS = '500', HEARTBEAT = '{}' } = process.env
const every = Number(EVERY_MS)
const MOST = 100

let stopped = false
let unfinished = Number(CLIENTS)

function start(c) {
  const connection = new GuruConnection({
    url,
    session: 'required',
    healthUrl: false,
    reconnectDelay: 100,
    stableAfter: 0,
    // What a client has lost without its server knowing ends soon, and with it the wait for what is queued there.
    sessionTtl: 20_000,
    ...JSON.parse(HEARTBEAT),
  })
  connection.handle(({ name }, { redelivered }) => {
    say('took', c, name, redelivered ? 'again' : 'new')
  })
  connection.on('sessionLost', ({ reason, inDoubt }) => {
    say('lost', c, reason)
    for (const { data } of inDoubt) say('doubts', c, JSON.parse(data).n)
  })
  connection.on('connectionState', (state) => {
    if (state === 'failed') say('failed', c)
  })
  connection.on('error', (error) => {
    if (error.code !== 'CONNECTION' && error.code !== 'TIMEOUT') say('error', c, error.code, error.message)
  })
  let n = 0
  const send = () => {
    n += 1
    const sent = n
    say('says', c, n)
    const { delivered } = connection.send({ c, n })
    delivered.then(
      () => say('told', c, sent),
      () => {},
    )
    return delivered
  }
  const next = () => {
    if (stopped) {
      void send().finally(() => {
        unfinished -= 1
        if (unfinished === 0) console.log('finished')
      })
      return
    }
    const { queuedMessages, unacknowledgedMessages } = connection.getStats()
    if (queuedMessages + unacknowledgedMessages < MOST) send()
    setTimeout(next, every * (0.5 + Math.random()))
  }
  setTimeout(next, every * Math.random())
  return connection
}

// Not all within one moment: the balancer's queue of new connections is short.
for (let c = 0; c < Number(CLIENTS); c += 1) {
  start(c)
  if (c % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 50))
}
console.log('started')
process.stdin.once('data', () => {
  stopped = true
})
