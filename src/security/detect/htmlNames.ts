// Names of HTML, SVG and MathML that can run script or pull in a document that does.

/** Elements that embed what they name, or decide where names lead: harmful only with an attribute that names something. */
export const EMBEDDING: ReadonlySet<string> = new Set(
  'iframe frame object embed applet layer ilayer bgsound portal fencedframe base'.split(' '),
)

/** Attributes by which an embedding element names its content. */
export const EMBEDDED: ReadonlySet<string> = new Set(
  'src srcdoc data type classid codebase code archive object'.split(' '),
)

/** Words of English and of component libraries that start like an event handler and are none. */
export const NOT_EVENTS: ReadonlySet<string> = new Set(
  'one ones only once onto online ongoing onboarding'.split(' '),
)

// Event handlers by their stem, as the HTML, SVG, Pointer Events, Touch, CSS Animations and Web App specifications
// and the older engines define them. Used only where no tag vouches that `on...` is an attribute at all.
const EVENTS = new Set(
  (
    'abort activate afterprint afterscriptexecute afterupdate animationcancel animationend animationiteration ' +
    'animationstart appinstalled auxclick beforeactivate beforecopy beforecut beforedeactivate beforeeditfocus ' +
    'beforeinput beforeinstallprompt beforematch beforepaste beforeprint beforescriptexecute beforetoggle ' +
    'beforeunload beforeupdate beforexrselect begin blur bounce cancel canplay canplaythrough cellchange change ' +
    'click close command compositionend compositionstart compositionupdate contentvisibilityautostatechange ' +
    'contextlost contextmenu contextrestored controlselect copy cuechange cut dataavailable datasetchanged ' +
    'datasetcomplete dblclick deactivate devicemotion deviceorientation drag dragdrop dragend dragenter dragexit ' +
    'dragleave dragover dragstart drop durationchange emptied end ended error errorupdate filterchange finish ' +
    'focus focusin focusout formchange formdata forminput fullscreenchange fullscreenerror gamepadconnected ' +
    'gesturechange gestureend gesturestart gotpointercapture hashchange help input invalid keydown keypress keyup ' +
    'languagechange layoutcomplete load loadeddata loadedmetadata loadend loadstart losecapture ' +
    'lostpointercapture mediacomplete mediaerror message messageerror mousedown mouseenter mouseleave mousemove ' +
    'mouseout mouseover mouseup mousewheel move moveend movestart offline online orientationchange outofsync ' +
    'pagehide pagereveal pageshow pageswap paste pause play playing pointercancel pointerdown pointerenter ' +
    'pointerleave pointermove pointerout pointerover pointerrawupdate pointerup popstate progress propertychange ' +
    'ratechange readystatechange rejectionhandled repeat reset resize resizeend resizestart resume reverse ' +
    'rowdelete rowenter rowexit rowinserted rowsdelete rowsinserted scroll scrollend scrollsnapchange ' +
    'scrollsnapchanging search securitypolicyviolation seek seeked seeking select selectionchange selectstart show ' +
    'slotchange stalled start stop storage submit suspend syncrestored timeerror timeupdate toggle touchcancel ' +
    'touchend touchmove touchstart trackchange transitioncancel transitionend transitionrun transitionstart ' +
    'unhandledrejection unload urlflip visibilitychange volumechange waiting webkitanimationend ' +
    'webkitanimationiteration webkitanimationstart webkittransitionend wheel zoom'
  ).split(' '),
)

/** Whether the name (lower case) is an event handler that some engine knows. */
export function isEventHandler(name: string): boolean {
  return name.startsWith('on') && EVENTS.has(name.slice(2))
}
