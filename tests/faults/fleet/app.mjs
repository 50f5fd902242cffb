// The app of a node under test: it handles the counters of each client and pushes counters of its own.

import { say } from './report.mjs'

const { NODE = '?', EVERY_MS = '500' } = process.env
const every = Number(EVERY_MS)
/** So many may be on their way to one client before it pauses. */
const MOST = 100

let stopped = false
process.on('SIGUSR2', () => {
  stopped = true
})

let count = 0
/** Never the same, in whatever life of whatever node. */
const life = `${NODE}.${process.pid}`

/** @param {import('guru-comms/server').Session} session */
export function onSession(session) {
  const sid = session.id
  say('takes', sid, life)
  // One in which nothing was heard may be one whose client never learnt of it.
  let heard = false
  session.handle(async ({ c, n }, { redelivered }) => {
    say('handled', c, n, life, redelivered ? 'again' : 'new')
    if (!heard) {
      heard = true
      say('is', sid, c)
    }
    if (Math.random() < 0.5) return
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 50))
  })
  const push = () => {
    if (session.over) return
    if (!stopped) setTimeout(push, every * (0.5 + Math.random()))
    if (stopped || !heard || session.queuedMessages > MOST) return
    count += 1
    const name = `${life}.${count}`
    say('sends', sid, name, life)
    const receipt = session.send({ name })
    receipt.stored.then(
      () => say('stored', sid, name),
      () => say('unsure', sid, name),
    )
    receipt.delivered.then(
      () => say('arrived', sid, name),
      () => {},
    )
  }
  setTimeout(push, every * Math.random())
  const nameOf = ({ data }) => JSON.parse(data).name
  session.on('dropped', (message) => say('unsure', sid, nameOf(message)))
  const over = (why, inDoubt) => {
    say('ends', sid, life, why)
    for (const message of inDoubt) say('unsure', sid, nameOf(message))
  }
  session.on('lost', ({ reason, inDoubt }) => over(reason, inDoubt))
  session.on('closed', ({ by, inDoubt }) => over(by, inDoubt))
}
