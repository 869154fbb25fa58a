"""The look of a report: one style sheet, for screens of any width, dark or light, and for paper."""

from typing import Final

CSS: Final = """
:root{--ink:#1c2326;--soft:#5c6a70;--line:#dfe5e7;--paper:#fff;--wash:#f4f7f7;--accent:#0f6f7c;--accent-wash:#d9ecee;
--warn:#8a4b00;--warn-wash:#fff4e0;--warn-line:#eab766;--bad:#a8261c;--bad-wash:#fbe6e3;--good:#1f7a45;--truth:#b4541a}
@media (prefers-color-scheme:dark){:root{--ink:#e6ecee;--soft:#9fb0b6;--line:#304046;--paper:#131a1d;--wash:#1b2529;
--accent:#58c0cc;--accent-wash:#1d3f45;--warn:#ffce85;--warn-wash:#33270f;--warn-line:#8a6420;--bad:#ff9184;
--bad-wash:#3d1d1a;--good:#7fd6a0;--truth:#ffab73}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:860px;margin:0 auto;padding:2.2rem 1.25rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .4rem;letter-spacing:-.015em}
h2{font-size:1.28rem;margin:2.8rem 0 .35rem;padding-top:1.1rem;border-top:1px solid var(--line);letter-spacing:-.01em}
p{margin:.5rem 0}
.lead{color:var(--soft);margin-top:0;max-width:44rem}
.warnings{background:var(--warn-wash);border:1px solid var(--warn-line);border-radius:10px;
padding:.9rem 1.15rem;margin:1.4rem 0}
.warnings h2{border:0;margin:0 0 .3rem;padding:0;font-size:1rem;color:var(--warn)}
.warnings ul{margin:0;padding-left:1.15rem}
.warnings li{margin:.3rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:.7rem;margin:1.2rem 0}
.tile{background:var(--wash);border-radius:10px;padding:.75rem .95rem;border-left:4px solid var(--good)}
.tile.missed{border-left-color:var(--bad);background:var(--bad-wash)}
.tile b{display:block;font-size:1.5rem;line-height:1.25;font-variant-numeric:tabular-nums;letter-spacing:-.02em}
.tile span{color:var(--soft);font-size:.82rem;display:block}
.tile .bar{font-size:.82rem;color:var(--good)}
.tile.missed .bar{color:var(--bad)}
.scroll{overflow-x:auto;margin:.9rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th{font-weight:600;color:var(--soft);font-size:.8rem}
th,td{padding:.42rem .7rem .42rem 0;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal;min-width:8.5rem}
th:last-child,td:last-child{padding-right:0}
.note,figcaption{color:var(--soft);font-size:.85rem}
figure{margin:1rem 0}
.intervals{margin:1rem 0}
.row{display:grid;grid-template-columns:minmax(9rem,15rem) 1fr minmax(11.5rem,auto);gap:.1rem 1rem;align-items:center;
padding:.45rem 0;border-bottom:1px solid var(--line)}
.row .name small{display:block;color:var(--soft);font-size:.78rem;line-height:1.35}
.row.strong .name{font-weight:650}
.row .said{text-align:right;font-variant-numeric:tabular-nums;font-size:.9rem}
.row .said small{display:block;color:var(--truth);font-size:.78rem}
.row.refused .said,.row.refused .why{color:var(--bad);font-size:.85rem;text-align:left}
.row.refused .why{grid-column:2/4}
.strip{position:relative;height:26px;background:linear-gradient(var(--line),var(--line)) center/100% 1px no-repeat}
.strip i{position:absolute;display:block}
.strip .span{height:6px;top:10px;background:var(--accent);opacity:.38;border-radius:3px}
.strip .dot{width:12px;height:12px;top:7px;margin-left:-6px;border-radius:50%;background:var(--accent)}
.strip .truth{width:3px;top:2px;height:22px;margin-left:-1.5px;background:var(--truth)}
.strip .truth-span{height:2px;top:22px;background:var(--truth);opacity:.6}
.strip .zero{width:1px;top:0;height:26px;background:var(--soft)}
.strong .strip .span{opacity:.6}
.axis{height:1.2rem}
.axis .strip{background:none;height:1.2rem}
.axis .strip i{font-style:normal;font-size:.75rem;color:var(--soft);transform:translateX(-50%);white-space:nowrap}
.row.axis{border:0;padding:.1rem 0}
.meter{height:12px;background:var(--wash);border-radius:6px;position:relative;overflow:hidden}
.meter i{position:absolute;left:0;top:0;bottom:0;background:var(--accent);border-radius:6px}
.plot{max-width:430px}
.plot svg,.chart svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font:12px system-ui,sans-serif}
ul.points{padding-left:1.15rem}
ul.points li{margin:.4rem 0}
footer{margin-top:3rem;color:var(--soft);font-size:.82rem;border-top:1px solid var(--line);padding-top:.8rem}
@media (max-width:640px){main{padding:1.3rem 1rem 3rem}h1{font-size:1.5rem}
.row{grid-template-columns:1fr auto}.row .mid{grid-column:1/3;grid-row:2}.row.refused .why{grid-column:1/3}
.row .said{font-size:.82rem}th,td{padding-right:.9rem}}
@media print{body{font-size:10.5pt}main{max-width:none;padding:0}h2{break-after:avoid}
.row,.tile,tr,figure{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}.scroll{overflow:visible}}
"""
