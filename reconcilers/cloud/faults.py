"""What keystoneauth, the SDK and the bounds on answers raise, as :class:`CloudError`."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from keystoneauth1 import exceptions as ksa
from openstack import exceptions as sdk

from reconcilers.cloud import calls
from reconcilers.cloud.calls import CallEnded
from reconcilers.cloud.limits import AnswerRefused
from reconcilers.errors import CloudError, classify
from reconcilers.model import Fault, Request

T = TypeVar("T")

log = logging.getLogger(__name__)

_NO_SERVICE = (ksa.EndpointNotFound, ksa.CatalogException, sdk.ServiceDisabledException)
_REFUSED = (ksa.Unauthorized, ksa.MissingAuthPlugin, ksa.AuthPluginException, ksa.NoMatchingPlugin)
_BAD_FORM = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What keystoneauth and the SDK raise where a token, a catalogue or a list of versions has a form that they do not
expect.
"""


def as_cloud_errors(request: Request, work: Callable[[], T]) -> T:
    """What the work gives. Raises :class:`CloudError` alone; its messages are whole, and may hold secrets."""
    try:
        return work()
    except CloudError:
        raise
    except Exception as error:
        call = calls.current.get()
        # Whatever it looks like, it happened because the call was ended.
        cause = CallEnded(call.reason) if call is not None and call.reason else error
        fault = _cloud_error(request, cause)
        if fault is None:
            raise
        raise fault from cause


def _cloud_error(request: Request, error: Exception) -> CloudError | None:
    """None for what is a mistake of ours."""
    service, sent = request.service, request.method != "GET"
    if isinstance(error, AnswerRefused):
        return CloudError(Fault.TRANSIENT, f"{service}: the answer {error}", ambiguous=sent)
    if isinstance(error, _REFUSED):
        return CloudError(Fault.AUTH, _one_line(error), status=401)
    if isinstance(error, _NO_SERVICE):
        return CloudError(Fault.INVALID, f"this cloud has no {service} service for the project")
    if isinstance(error, ksa.HttpError):
        return classify(request.method, error.http_status, {}, getattr(error, "message", str(error)), 0.0)
    if isinstance(error, (ksa.ConnectFailure, ksa.ConnectionError, OSError)):
        return CloudError(Fault.TRANSIENT, f"{service}: {_one_line(error)}", ambiguous=sent)
    if isinstance(error, sdk.SDKException):
        # It did not tell its versions. Nothing was sent.
        return CloudError(Fault.TRANSIENT, f"{service}: {_one_line(error)}")
    if isinstance(error, ksa.ClientException):
        return CloudError(Fault.TRANSIENT, f"{service}: {_one_line(error)}", ambiguous=sent)
    if isinstance(error, _BAD_FORM):
        log.debug("%s: an answer of an unexpected form", service, exc_info=error)
        reason = "a token, catalogue or list of versions has an unexpected form"
        return CloudError(Fault.TRANSIENT, f"{service}: {reason}", ambiguous=sent)
    return None


@contextlib.contextmanager
def refusals(request: Request, request_id: str = "") -> Iterator[None]:
    """A refused answer as :class:`CloudError`: what the request did is not known then."""
    try:
        yield
    except AnswerRefused as error:
        raise CloudError(
            Fault.TRANSIENT,
            f"{request.service}: the answer {error}",
            request_id=request_id,
            ambiguous=request.method != "GET",
        ) from error


@contextlib.contextmanager
def expected_form(service: str) -> Iterator[None]:
    """What a resource type stumbles over in what a service answered, as :class:`CloudError`.

    A type reads answers without a doubt about their form: a cloud that sends a list where its API has an object is
    out of order, and the Stack says so. A mistake in a type looks the same; so the log has the traceback.
    """
    try:
        yield
    except _BAD_FORM as error:
        log.warning("%s: an answer of an unexpected form", service, exc_info=True)
        raise CloudError(Fault.TRANSIENT, f"{service}: an answer has an unexpected form") from error


def identified_by(work: Callable[[], object]) -> str:
    """The project's id that ``work`` asks for; empty where the credential is for none. Raises :class:`CloudError`."""
    project = as_cloud_errors(Request("identity", "GET", "/"), work)
    if project is not None and not isinstance(project, str):
        raise CloudError(Fault.TRANSIENT, "identity: the project's id in the token is not a text")
    return project or ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
