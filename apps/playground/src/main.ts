// Puts the page together: chat on the left, the health of the line on the right, and one loop that draws.

import { Line } from './line.ts'
import { Announcer } from './ui/announcer.ts'
import { Chat } from './ui/chat.ts'
import { Composer } from './ui/composer.ts'
import { h, setText } from './ui/dom.ts'
import { Health } from './ui/health.ts'
import { LineNote } from './ui/lineNote.ts'
import { StatusStrip } from './ui/statusStrip.ts'
import { themeButton } from './ui/theme.ts'

/** In that time a trace moves by less than a pixel. What changes a state is drawn at once. */
const REFRESH_MS = 100
/** For those who want less to move. */
const CALM_REFRESH_MS = 1000

const line = new Line(window.location.origin)
const { conversation } = line

const announcer = new Announcer()
const composer = new Composer(line)
const chat = new Chat((question) => void composer.ask(question))
const note = new LineNote(() => line.reconnectNow())
const health = new Health(line)
const strip = new StatusStrip(line.recording, () => openDrawer(!health.element.classList.contains('open')))
const stateText = h('span', {})

const talk = h(
  'section',
  { class: 'chat', 'aria-label': 'Chat' },
  chat.element,
  h('div', { class: 'foot' }, note.element, composer.element),
)

document
  .getElementById('app')
  ?.append(
    h(
      'header',
      {},
      h('img', { src: '/line.svg', alt: '', width: 26, height: 26 }),
      h('h1', {}, 'guru-comms ', h('span', {}, 'playground')),
      h('span', { class: 'state' }, h('span', { class: 'dot' }), stateText),
      themeButton(),
      h('span', { class: 'wire', 'aria-hidden': 'true' }),
    ),
    strip.element,
    h('main', {}, talk, health.element),
    announcer.element,
  )

/** On a narrow screen the instruments lie over the chat, which is then out of reach. */
function openDrawer(open: boolean): void {
  health.element.classList.toggle('open', open)
  strip.element.setAttribute('aria-expanded', String(open))
  talk.inert = open
}

function draw(): void {
  const vitals = line.read()
  document.body.dataset.state = vitals.state
  setText(stateText, `line ${vitals.state}`)
  announcer.line(vitals.state)
  note.draw(vitals)
  strip.draw(vitals)
  health.draw(vitals)
}

conversation.onChange = (exchange) => {
  chat.draw(exchange)
  announcer.exchange(exchange)
  composer.setBusy(conversation.busy)
}
line.onChange = draw
line.setPulse(true)

const calm = matchMedia('(prefers-reduced-motion: reduce)')
let timer = setInterval(tick, calm.matches ? CALM_REFRESH_MS : REFRESH_MS)
calm.addEventListener('change', () => {
  clearInterval(timer)
  timer = setInterval(tick, calm.matches ? CALM_REFRESH_MS : REFRESH_MS)
})
function tick(): void {
  if (!document.hidden) draw()
}

addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape' || !health.element.classList.contains('open')) return
  openDrawer(false)
  strip.element.focus()
})
matchMedia('(min-width: 901px)').addEventListener('change', () => openDrawer(false))

draw()
// On a phone the keyboard would cover the page before one has seen it.
if (matchMedia('(pointer: fine)').matches) composer.focus()
