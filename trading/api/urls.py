"""Paths of the trading API under /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from trading.api import auto_mode, config, orders, performance, plans, reconciliation, research, signals, stages

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("signals", signals.SignalViewSet, basename="signal")
router.register("decisions", signals.DecisionViewSet, basename="decision")
router.register("plans", plans.PlanViewSet, basename="plan")
router.register("positions", plans.PositionViewSet, basename="position")
router.register("orders", orders.OrderViewSet, basename="order")
router.register("fills", orders.FillViewSet, basename="fill")
router.register("slippage", orders.SlippageViewSet, basename="slippage")
router.register("config/versions", config.StrategyViewSet, basename="config-version")
router.register("reconciliation/findings", reconciliation.FindingViewSet, basename="finding")
router.register("reconciliation/runs", reconciliation.RunViewSet, basename="reconciliation-run")
router.register("backtests", research.BacktestViewSet, basename="backtest")
router.register("sweeps", research.SweepViewSet, basename="sweep")
router.register("calibrations", research.CalibrationViewSet, basename="calibration")

urlpatterns = [
    path("performance", performance.PerformanceView.as_view()),
    path("auto-modes", auto_mode.AutoModesView.as_view()),
    path("auto-modes/revoke", auto_mode.AutoModeRevokeView.as_view()),
    path("config", config.ConfigView.as_view()),
    path("config/versions/<int:pk>/stage", stages.StageView.as_view()),
    path("config/versions/<int:pk>/stage/withdraw", stages.StageWithdrawView.as_view()),
    path("admin/reconciliation/status", reconciliation.StatusView.as_view()),
    path("reconciliation/run", reconciliation.RunView.as_view()),
    *router.urls,
]
