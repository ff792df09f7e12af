// Keeps the page fresh and listens to a few keys. Everything works without it.
(() => {
  'use strict';
  const state = document.getElementById('state');
  const every = Number(state && state.dataset.live) * 1000;
  const tell = (text, stale) => {
    if (!state) return;
    state.textContent = text;
    state.classList.toggle('stale', stale);
  };

  // Puts what was asked for anew in the place of what is shown, and the focus back where it was.
  const replace = (shown, fresh) => {
    if (shown.innerHTML === fresh.innerHTML) return;
    const held = document.activeElement;
    const href = held && shown.contains(held) ? held.getAttribute('href') : null;
    shown.replaceChildren(...fresh.childNodes);
    if (href === null) return;
    for (const link of shown.querySelectorAll('a[href]')) {
      if (link.getAttribute('href') === href) { link.focus({ preventScroll: true }); break; }
    }
  };

  const isReading = (shown) => {
    const chosen = window.getSelection();
    return chosen && !chosen.isCollapsed && shown.contains(chosen.anchorNode);
  };

  // One question at a time: answers that come out of order would show what was before.
  const PATIENCE_MS = 10000;
  let asking = false;
  const refresh = async () => {
    const parts = [...document.querySelectorAll('[data-fresh]')];
    if (document.hidden || asking || parts.length === 0) return;
    if (parts.some(isReading)) { tell('held while text is selected', true); return; }
    asking = true;
    try {
      const answer = await fetch(location.href, {
        headers: { 'X-Live': '1' }, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS),
      });
      if (answer.status === 401) { location.assign('/desk/login'); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      // Somebody may have begun to read while it was on its way.
      if (parts.some(isReading)) { tell('held while text is selected', true); return; }
      for (const shown of parts) {
        const fresh = page.getElementById(shown.id);
        if (fresh) replace(shown, fresh);
      }
      tell('live', false);
    } catch {
      tell('not reached; this is older', true);
    } finally {
      asking = false;
    }
  };

  if (every > 0) {
    tell('live', false);
    setInterval(refresh, every);
    document.addEventListener('visibilitychange', refresh);
  }

  const rows = () => [...document.querySelectorAll('[data-row]')];
  const move = (by) => {
    const all = rows();
    if (all.length === 0) return;
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
    all[Math.max(0, Math.min(all.length - 1, next))].focus();
  };

  let before = '';
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest('input, select, textarea');
    if (event.key === 'Escape' && typing) { typing.blur(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const sequence = before + event.key;
    before = event.key === 'g' ? 'g' : '';
    if (sequence === 'go') location.assign('/desk');
    else if (sequence === 'gp') location.assign('/desk/payments');
    else if (sequence === 'gs') location.assign('/desk/switches');
    else if (sequence === 'gr') location.assign('/desk/plans');
    else if (event.key === 'j') move(1);
    else if (event.key === 'k') move(-1);
    else if (event.key === '/') {
      event.preventDefault();
      const find = document.getElementById('find');
      if (find) find.focus(); else location.assign('/desk/payments');
    }
  });
})();
