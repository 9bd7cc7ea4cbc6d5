"""How the desk answers a button: a toast on the page, or, without JavaScript, a message where it leads back to."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render


def toast(request: HttpRequest, text: str, *, refused: bool = False, back: str = "trading:desk") -> HttpResponse:
    """A refusal too is answered with 200: to a page it is an answer like another, and browsers log every 4xx as a fault
    of the page. Programs ask the API, which says 409.
    """
    if not request.headers.get("HX-Request"):
        (messages.warning if refused else messages.info)(request, text)
        return redirect(back)
    return render(request, "trading/partials/_toast.html", {"text": text, "refused": refused})
